/**
 * What a SIP server is asked to do, in rounds that alternate between the servers. A rate counts where fewer than one in a
 * thousand fail, 95 of 100 are answered within 50 ms, and no socket's buffer ran over; nothing is sent a second time.
 *
 * Each rate is looked for in two steps: saturated, a fixed number under way at once, for what a registration or a call
 * costs and what the server may do at most; and then at a fixed rate, from nine tenths of that downwards until one counts.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startChild } from "../../test/support/child.ts";
import { until } from "../../test/support/until.ts";
import { generate, generatorCore } from "../generator.ts";
import {
  domain,
  password,
  type SipServer,
  type SipServerName,
  type StartSipServer,
  startForwardingSip,
  startKamailio,
  startPosternSip,
} from "./contenders.ts";
import type { BenchNetwork } from "./network.ts";

export interface SipRate {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
  readonly utilization: number;
  readonly failedPercent: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Datagrams that the servers' sockets had no room for. */
  readonly drops: number;
}

export interface RateRun {
  readonly saturated: SipRate;
  /** The highest that counted; null: none did. */
  readonly counted: SipRate | null;
}

export interface RateResult {
  readonly workload: string;
  readonly runs: Record<SipServerName, RateRun[]>;
}

export interface TalkRun {
  readonly packetsPerSecond: number;
  readonly cpuMicroseconds: number;
  readonly utilization: number;
  readonly lossPercent: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  /** Phones whose media was not led through the relay. */
  readonly direct: number;
  /** Packets that somebody heard who is not of the call. */
  readonly foreign: number;
  readonly drops: number;
}

export interface TalkResult {
  readonly calls: number;
  readonly runs: Record<SipServerName, TalkRun[]>;
}

export interface PhonesMemory {
  readonly server: SipServerName;
  readonly phones: number;
  readonly idleKilobytes: number;
  readonly heldKilobytes: number;
}

/** Of Postern alone: Kamailio's configuration has UDP only. */
export interface ConnectionsMemory {
  readonly transport: "tcp" | "tls";
  readonly connections: number;
  /** With one connection. */
  readonly idleKilobytes: number;
  readonly heldKilobytes: number;
}

export interface SipPlan {
  readonly rounds: number;
  readonly seconds: number;
  readonly users: number;
  /** Postern's option of that name. */
  readonly datapath: string;
  /** Calls with sound at once. */
  readonly talking: readonly number[];
  readonly phones: number;
  /** Phones on TCP, and on TLS. */
  readonly connections: number;
  does(part: "registering" | "calling" | "talking" | "memory"): boolean;
}

const starts: readonly StartSipServer[] = [startPosternSip, startKamailio];
/** Of calls with sound. */
const talkers: readonly StartSipServer[] = [startPosternSip, startForwardingSip, startKamailio];
/** Of the saturated rate. */
const steps = [0.9, 0.75, 0.6, 0.45, 0.3];

interface Workload {
  readonly name: string;
  readonly part: "registering" | "calling";
  readonly flags: Readonly<Record<string, string | number>>;
}

const workloads: readonly Workload[] = [
  { name: "registration", part: "registering", flags: { mode: "register", window: 32 } },
  { name: "call without media", part: "calling", flags: { mode: "call", window: 16, users: 1_000 } },
  {
    name: "call with its media relayed",
    part: "calling",
    flags: { mode: "call", window: 16, users: 1_000, describe: 1 },
  },
];

export function counts({ failedPercent, p95Ms, drops }: SipRate): boolean {
  return failedPercent < 0.1 && p95Ms < 50 && drops === 0;
}

export class SipMeasurement {
  readonly #network: BenchNetwork;
  readonly #plan: SipPlan;
  readonly #progress: (line: string) => void;

  constructor(network: BenchNetwork, plan: SipPlan, progress: (line: string) => void) {
    this.#network = network;
    this.#plan = plan;
    this.#progress = progress;
  }

  async underLoad(): Promise<{ rates: RateResult[]; talks: TalkResult[] }> {
    const { rounds, talking, users, seconds, datapath } = this.#plan;
    const does = workloads.filter(({ part }) => this.#plan.does(part));
    const rates = does.map((one) => ({ ...one, workload: one.name, runs: blank<RateRun>() }));
    const talks = this.#plan.does("talking") ? talking.map((calls) => ({ calls, runs: blank<TalkRun>() })) : [];
    if (rates.length + talks.length === 0) return { rates: [], talks };
    await using stack = new AsyncDisposableStack();
    const servers: SipServer[] = [];
    for (const start of talks.length > 0 ? talkers : starts)
      servers.push(stack.use(await start({ network: this.#network, users, datapath })));
    this.#progress("warming up");
    for (const server of servers.filter(isRated))
      for (const { flags } of does) await this.#load<SipRate>(server, { ...flags, seconds });
    for (let round = 0; round < rounds; round++) {
      const inTurn = round % 2 === 0 ? servers : servers.toReversed();
      for (const { name, flags, runs } of rates) {
        for (const server of inTurn.filter(isRated)) {
          const run = await this.#findRate(server, flags);
          runs[server.name].push(run);
          this.#progress(`round ${round + 1}, ${name}, ${server.name}: ${JSON.stringify(run)}`);
        }
      }
      for (const { calls, runs } of talks) {
        for (const server of inTurn) {
          const run = await this.#talk(server, calls);
          runs[server.name].push(run);
          this.#progress(`round ${round + 1}, ${calls} calls, ${server.name}: ${JSON.stringify(run)}`);
        }
      }
    }
    return { rates: rates.map(({ workload, runs }) => ({ workload, runs })), talks };
  }

  /** A server that has just started, and the same one when every phone has registered. */
  async memory(): Promise<PhonesMemory[]> {
    if (!this.#plan.does("memory")) return [];
    const results: PhonesMemory[] = [];
    const { phones, datapath } = this.#plan;
    for (const start of starts) {
      await using server = await start({ network: this.#network, users: phones, datapath });
      await this.#load(server, { mode: "fill", users: 1 });
      const idleKilobytes = await memoryOf(server);
      await this.#load(server, { mode: "fill", users: phones, window: 32 });
      const heldKilobytes = await memoryOf(server);
      results.push({ server: server.name, phones, idleKilobytes, heldKilobytes });
      this.#progress(JSON.stringify(results.at(-1)));
    }
    return results;
  }

  /** Phones that stay connected, registered and quiet. */
  async connectionsMemory(): Promise<ConnectionsMemory[]> {
    if (!this.#plan.does("memory")) return [];
    const results: ConnectionsMemory[] = [];
    const { connections, datapath } = this.#plan;
    for (const transport of ["tcp", "tls"] as const) {
      await using server = await startPosternSip({ network: this.#network, users: connections, datapath });
      const idleKilobytes = await this.#heldBy(server, transport, 1);
      const heldKilobytes = await this.#heldBy(server, transport, connections);
      results.push({ transport, connections, idleKilobytes, heldKilobytes });
      this.#progress(JSON.stringify(results.at(-1)));
    }
    return results;
  }

  async #heldBy(server: SipServer, transport: "tcp" | "tls", count: number): Promise<number> {
    const script = join(import.meta.dirname, "connected-phones.ts");
    const port = transport === "tcp" ? 5060 : 5061;
    const whose = [transport, server.address, String(port), domain, password, String(count)];
    const command = [...this.#network.generator, ...generatorCore, process.execPath, script, ...whose];
    const phones = await startChild(command, { holdInput: true });
    try {
      const ready = () => {
        if (phones.ending() !== undefined) throw new Error(`the phones ended:\n${phones.output()}`);
        return phones.output().includes("registered");
      };
      await until("the phones to be registered", ready, { within: 300_000 });
      return await memoryOf(server);
    } finally {
      await phones.stop();
    }
  }

  async #findRate(server: SipServer, flags: Workload["flags"]): Promise<RateRun> {
    const { seconds } = this.#plan;
    const saturated = await this.#load<SipRate>(server, { ...flags, seconds });
    for (const step of steps) {
      const rate = Math.max(1, Math.round(saturated.perSecond * step));
      const run = await this.#load<SipRate>(server, { ...flags, rate, seconds });
      if (counts(run)) return { saturated, counted: run };
    }
    return { saturated, counted: null };
  }

  #talk(server: SipServer, calls: number): Promise<TalkRun> {
    const { seconds, users } = this.#plan;
    return this.#load(server, { mode: "media", describe: 1, users, calls, window: 8, warmup: 1, seconds });
  }

  async #load<T>(server: SipServer, flags: Readonly<Record<string, string | number>>): Promise<T & { drops: number }> {
    const whose = { server: server.address, domain, password, users: this.#plan.users };
    const pids = [...(await server.pids()), ...this.#network.receivers].join();
    const before = await this.#network.drops();
    const run = await generate<T>("sipgen", { ...whose, pids, ...flags }, this.#network.generator);
    return { ...run, drops: (await this.#network.drops()) - before };
  }
}

/** Kilobytes of a server's processes, what they share counted once. */
async function memoryOf(server: SipServer): Promise<number> {
  let sum = 0;
  for (const pid of await server.pids()) {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    sum += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1]);
  }
  return sum;
}

function blank<T>(): Record<SipServerName, T[]> {
  return { postern: [], ebpf: [], kamailio: [] };
}

/** What the kernel forwards makes no difference to signaling. */
function isRated({ name }: SipServer): boolean {
  return name !== "ebpf";
}
