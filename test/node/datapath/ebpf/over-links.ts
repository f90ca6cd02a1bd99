/** A relay on one host, and its clients and peers on another, with one process on both: sockets stay where they were opened. */
import { closeSync, openSync } from "node:fs";
import { Namespace } from "../../../../src/lab/namespace.ts";
import { libc } from "../../../../src/node/sys/libc.ts";
import { orThrow } from "../../../../src/node/sys/system-error.ts";
import { until } from "../../../support/until.ts";
import type { Ground } from "../differential.ts";

const CLONE_NEWNET = 0x4000_0000;
const setns = process.arch === "x64" ? 308 : 268;

export const at = {
  relay: { 4: "10.85.0.1", 6: "fd85::1" },
  far: { 4: "10.85.0.2", 6: "fd85::2" },
} as const;

/** As long as nothing comes, and the datapath has looked at all of its counters more than once. */
const quietMs = 1_200;

export class LinkedHosts implements AsyncDisposable {
  readonly #relay: Namespace;
  readonly #far: Namespace;
  readonly #descriptors: { readonly home: number; readonly relay: number; readonly far: number };

  /** This thread stands on the relay's host from then on, until it is disposed of. */
  static async open(): Promise<LinkedHosts> {
    const [relay, far] = [await Namespace.open("relay"), await Namespace.open("far")];
    await relay.ip(`link add r type veth peer name f netns ${far.pid}`);
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
    return new LinkedHosts(relay, far);
  }

  private constructor(relay: Namespace, far: Namespace) {
    this.#relay = relay;
    this.#far = far;
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

  #enter(where: "home" | "relay" | "far"): void {
    orThrow("setns", libc().syscall(setns, this.#descriptors[where], CLONE_NEWNET, 0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#enter("home");
    for (const descriptor of Object.values(this.#descriptors)) closeSync(descriptor);
    await Promise.all([this.#relay.close(), this.#far.close()]);
  }
}
