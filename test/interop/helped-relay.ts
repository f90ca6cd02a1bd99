/**
 * A daemon that may do nothing, between a client and a peer, and the helper that has the privilege for it: as services of the
 * system's, each a user of its own.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Child, startChild } from "../support/child.ts";
import { until } from "../support/until.ts";
import type { Endpoint } from "./endpoints.ts";
import { through } from "./networks.ts";
import { type Allocated, channel, type Family, hasHeard, OffloadNetwork, type Served } from "./offload-network.ts";

/** The daemon's and the helper's users: nobody has these. */
export const owner = 64_001;
const holder = 64_003;
const postern = [process.execPath, join(import.meta.dirname, "../../src/cli/main.ts")];
export const slow = { within: 60_000 };

/** As a service of systemd's is: another user, with some capabilities or none, and no way to more. */
export function as(uid: number, ...capabilities: readonly string[]): string[] {
  const set = ["-all", ...capabilities.map((one) => `+${one}`)].join(",");
  const sets = [`--inh-caps=${set}`, `--ambient-caps=${set}`, `--bounding-set=${set}`];
  return ["setpriv", "--reuid", `${uid}`, "--regid", `${uid}`, "--clear-groups", "--no-new-privs", ...sets];
}

/** One packet after the other, each of which the peer sends back. */
export class Stream {
  readonly #one: Endpoint;
  #sent = 0;
  #isEnding = false;
  readonly #running: Promise<void>;

  constructor(one: Endpoint) {
    this.#one = one;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      await this.#one.ask({ do: "relay", to: channel, texts: [`${this.#sent++}`] });
      await delay(2);
    }
  }

  get sent(): number {
    return this.#sent;
  }

  /** So many more have gone. */
  async more(count: number): Promise<void> {
    const target = this.#sent + count;
    await until("the stream to go on", () => this.#sent >= target, slow);
  }

  /** How many were sent, and how many came back. */
  async end(): Promise<{ sent: number; heard: number }> {
    this.#isEnding = true;
    await this.#running;
    await hasHeard(this.#one, this.#sent);
    return { sent: this.#sent, heard: (await this.#one.ask({ do: "heard" })).heard?.length ?? 0 };
  }
}

export class HelpedRelay {
  readonly network: OffloadNetwork;
  readonly #directory: string;
  readonly #helpers: Child[] = [];

  static async open(): Promise<HelpedRelay> {
    const directory = await mkdtemp(join(tmpdir(), "postern-helper-"));
    await chmod(directory, 0o777);
    return new HelpedRelay(await OffloadNetwork.open(), directory);
  }

  private constructor(network: OffloadNetwork, directory: string) {
    this.network = network;
    this.#directory = directory;
  }

  /** Where the helper listens. */
  get path(): string {
    return join(this.#directory, "run", "socket");
  }

  startHelper(...more: readonly string[]): Promise<Child> {
    return this.#startHelper(as(holder, "bpf", "net_admin"), more);
  }

  /** By hand, as root. */
  startHelperAsRoot(...more: readonly string[]): Promise<Child> {
    return this.#startHelper([], more);
  }

  async #startHelper(who: readonly string[], more: readonly string[]): Promise<Child> {
    const args = ["helper", "--user", `${owner}`, "--listen", this.path, ...more];
    const helper = await startChild([...through(this.network.relay), ...who, ...postern, ...args]);
    this.#helpers.push(helper);
    return helper;
  }

  async startDaemon(): Promise<Served> {
    const settings = { "offload-helper": this.path };
    return this.network.start({ owner, before: as(owner), settings });
  }

  isOn(server: Served, times = 1) {
    return until("offload to be on", () => server.told("offload-is-on") === times, slow);
  }

  isOff(server: Served, times = 1) {
    return until("offload to be off", () => server.told("offload-is-off") === times, slow);
  }

  flowsOf(server: Served): Promise<number> {
    return server.metric("offloaded_flows");
  }

  /** Both ways in the kernel, once a packet has shown that this host leaves it alone. */
  async allocated(server: Served, from: Family, to: Family): Promise<Allocated> {
    const before = await this.flowsOf(server);
    const made = await this.network.allocated(server, from, to, 0);
    await made.one.ask({ do: "relay", to: channel, texts: ["shown"] });
    await until("the flows to be in the kernel", async () => (await this.flowsOf(server)) === before + 2, slow);
    return made;
  }

  /** One more packet goes through user space, and shows it of a program that has not seen any yet. */
  async goesDown(server: Served, flows: number, ...made: readonly Allocated[]): Promise<void> {
    for (const { one } of made) await one.ask({ do: "relay", to: channel, texts: ["shown again"] });
    await until("the flows to be in the kernel", async () => (await this.flowsOf(server)) === flows, slow);
  }

  /** Packets come back and user space sees none of them. */
  async isForwarded(server: Served, { one }: Allocated): Promise<void> {
    const before = await server.metric("udp_packets_in_total");
    const heard = (await one.ask({ do: "heard" })).heard?.length ?? 0;
    await one.ask({ do: "relay", to: channel, texts: Array.from({ length: 20 }, (_, i) => `forwarded ${i}`) });
    await until("them to come back", () => hasHeard(one, heard + 20));
    assert.equal(await server.metric("udp_packets_in_total"), before);
  }

  /** Packets come back and user space has seen each, both ways. */
  async isRelayed(server: Served, { one }: Allocated): Promise<void> {
    const before = await server.metric("udp_packets_in_total");
    const heard = (await one.ask({ do: "heard" })).heard?.length ?? 0;
    await one.ask({ do: "relay", to: channel, texts: Array.from({ length: 20 }, (_, i) => `relayed ${i}`) });
    await until("them to come back", () => hasHeard(one, heard + 20));
    assert.ok((await server.metric("udp_packets_in_total")) >= before + 40);
  }

  /** What was counted is what was sent, wherever it was forwarded. */
  async hasCounted(server: Served, sent: number): Promise<void> {
    const name = "relayed_packets_to_peers_total";
    await until(`${sent} to be counted`, async () => (await server.metric(name)) === sent, slow);
  }

  async close(): Promise<void> {
    await this.network.close();
    for (const helper of this.#helpers) await helper.stop("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }
}
