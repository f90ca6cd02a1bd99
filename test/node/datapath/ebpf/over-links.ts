/** A relay on one host, and its clients and peers on another, with one process on both: sockets stay where they were opened. */
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Namespace } from "../../../../src/lab/namespace.ts";
import { libc } from "../../../../src/node/sys/libc.ts";
import { orThrow } from "../../../../src/node/sys/system-error.ts";
import { type Child, startChild } from "../../../support/child.ts";
import { until } from "../../../support/until.ts";
import type { Ground } from "../differential.ts";
import type { Fuzzed } from "../fuzzed-link.ts";

const CLONE_NEWNET = 0x4000_0000;
const setns = process.arch === "x64" ? 308 : 268;

export const at = {
  relay: { 4: "10.85.0.1", 6: "fd85::1" },
  far: { 4: "10.85.0.2", 6: "fd85::2" },
} as const;

/** As long as nothing comes, and the datapath has looked at all of its counters more than once. */
const quietMs = 1_200;

/** This thread is in this network namespace from then on. */
export function enterNetwork(descriptor: number): void {
  orThrow("setns", libc().syscall(setns, descriptor, CLONE_NEWNET, 0));
}

/** A cable that does something to what comes to the relay. */
class FuzzedLink {
  readonly #child: Child;
  #asked = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async open(relay: Namespace, far: Namespace): Promise<FuzzedLink> {
    const script = fileURLToPath(new URL("../fuzzed-link.ts", import.meta.url));
    const child = await startChild([process.execPath, script, `${relay.pid}`, `${far.pid}`], { holdInput: true });
    await until("the cable", () => child.output().startsWith("ready\n"));
    // Many datagrams never become whole, and none of them may be why another does not.
    await relay.set("net.ipv4.ipfrag_high_thresh=134217728", "net.ipv6.ip6frag_high_thresh=134217728");
    return new FuzzedLink(child);
  }

  /** What it has done so far; it begins when it is first asked. */
  async done(): Promise<Fuzzed> {
    const nth = ++this.#asked;
    this.#child.write("\n");
    return JSON.parse(await until("the cable to tell", () => this.#child.output().split("\n")[nth])) as Fuzzed;
  }

  async close(): Promise<void> {
    await this.#child.stop("SIGKILL");
  }
}

export class LinkedHosts implements AsyncDisposable {
  readonly #relay: Namespace;
  readonly #far: Namespace;
  readonly #descriptors: { readonly home: number; readonly relay: number; readonly far: number };
  readonly #cable: FuzzedLink | undefined;

  /** This thread stands on the relay's host from then on, until it is disposed of. `isFuzzed`: see `fuzzed-link.ts`. */
  static async open({ isFuzzed = false }: { isFuzzed?: boolean } = {}): Promise<LinkedHosts> {
    const [relay, far] = [await Namespace.open("relay"), await Namespace.open("far")];
    const cable = isFuzzed ? await FuzzedLink.open(relay, far) : undefined;
    if (cable === undefined) await relay.ip(`link add r type veth peer name f netns ${far.pid}`);
    for (const [place, device, addresses] of [
      [relay, "r", at.relay],
      [far, "f", at.far],
    ] as const) {
      await place.ip(
        `addr add ${addresses[4]}/24 dev ${device}`,
        `addr add ${addresses[6]}/64 dev ${device} nodad`,
        `link set ${device} up`,
      );
    }
    await cable?.done();
    return new LinkedHosts(relay, far, cable);
  }

  private constructor(relay: Namespace, far: Namespace, cable: FuzzedLink | undefined) {
    this.#relay = relay;
    this.#far = far;
    this.#cable = cable;
    const open = (pid: number | "self") => openSync(`/proc/${pid}/ns/net`, "r");
    this.#descriptors = { home: open("self"), relay: open(relay.pid), far: open(far.pid) };
    this.#enter("relay");
  }

  ground(family: 4 | 6): Ground {
    return {
      relay: at.relay[family],
      far: at.far[family],
      away: (work) => this.away(work),
      quiet: async (...counts) => {
        let [last, since] = ["", performance.now()];
        await until(
          "what is on its way",
          () => {
            const now = counts.map((count) => count()).join();
            if (now !== last) [last, since] = [now, performance.now()];
            return performance.now() - since > quietMs;
          },
          { within: 60_000 },
        );
      },
    };
  }

  /** Does it on the other host. */
  async away<T>(work: () => Promise<T>): Promise<T> {
    this.#enter("far");
    try {
      return await work();
    } finally {
      this.#enter("relay");
    }
  }

  /** What the cable has done to packets so far. */
  async fuzzed(): Promise<Fuzzed | undefined> {
    return this.#cable?.done();
  }

  #enter(where: "home" | "relay" | "far"): void {
    enterNetwork(this.#descriptors[where]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#enter("home");
    for (const descriptor of Object.values(this.#descriptors)) closeSync(descriptor);
    await this.#cable?.close();
    await Promise.all([this.#relay.close(), this.#far.close()]);
  }
}
