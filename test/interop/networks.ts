/** The lab's namespaces, for programs that the lab does not know. */
import type { Namespace } from "../../src/lab/namespace.ts";
import { type Passage, passagesOf } from "../../src/lab/passages.ts";

/** What a command has to be started through to run there, and to end with this process, however that ends. */
export function through(namespace: Namespace): string[] {
  return ["setpriv", "--pdeathsig", "KILL", ...namespace.enter];
}

/** How many UDP packets arrived there that `isMeant`. */
export async function arrived(namespace: Namespace, isMeant: (passage: Passage) => boolean): Promise<number> {
  const passages = await passagesOf(namespace);
  const meant = passages.filter((one) => one.direction === "arrived" && one.protocol === "udp" && isMeant(one));
  return meant.reduce((total, { packets }) => total + packets, 0);
}

/** The address, without its port. */
export function hostOf(address: string | undefined): string | undefined {
  return address?.slice(0, address.lastIndexOf(":"));
}
