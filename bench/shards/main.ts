/**
 * `npm run bench -- shards`: a server of two shards beside the same server in one thread, saturated, on loopback. The generator
 * has one core, and the server may use all. Where there are but two, the generator takes from the second shard what it
 * needs, so rates alone say little: what counts is packets in a second of the server's own CPU time, while both shards
 * work. As many cores as shards carry that many times the shards.
 */
import { availableParallelism } from "node:os";
import { freePort } from "../../test/support/ports.ts";
import { startPostern } from "../../test/support/postern.ts";
import type { RelayOptions, RelayUnderTest } from "../../test/support/relay-under-test.ts";
import { buildGenerators, generate } from "../generator.ts";
import { spread } from "../statistics.ts";

const user = { name: "bench", password: "a long enough password" };

interface Run {
  /** Packets or requests in a second. */
  readonly rate: number;
  /** The server's, of each. */
  readonly cpuMicroseconds: number;
}

interface Server {
  readonly shards: number;
  readonly relay: RelayUnderTest;
  readonly flags: Readonly<Record<string, string | number>>;
}

async function start(shards: number): Promise<Server> {
  const options: RelayOptions = {
    addresses: ["127.0.0.1"],
    user,
    relayPorts: { low: 20_000, high: 32_767 },
    allowPeers: ["127.0.0.0/8"],
    highQuotas: true,
    port: await freePort(),
    postern: { shards, "allocations-per-source": 100_000 },
  };
  const relay = await startPostern(options);
  const { name, password } = user;
  const peer = "127.0.0.2";
  return {
    shards,
    relay,
    flags: { server: "127.0.0.1", port: options.port, peer, pid: relay.pid, user: name, password },
  };
}

type Measure = (flags: Server["flags"], seconds: number) => Promise<Run>;

const rates =
  (load: Readonly<Record<string, string | number>>): Measure =>
  async (flags, seconds) => {
    type Rates = { perSecond: number; cpuMicroseconds: number };
    const { perSecond, cpuMicroseconds } = await generate<Rates>("ratesgen", { ...flags, ...load, seconds });
    return { rate: perSecond, cpuMicroseconds };
  };

const relaying =
  (load: Readonly<Record<string, string | number>>): Measure =>
  async (flags, seconds) => {
    type Relayed = { packetsPerSecond: number; cpuMicroseconds: number };
    const run = await generate<Relayed>("relaygen", { ...flags, size: 172, rate: 0, ...load, seconds });
    return { rate: run.packetsPerSecond, cpuMicroseconds: run.cpuMicroseconds };
  };

const loads: Readonly<Record<string, Measure>> = {
  "Binding, 4,096 sources": rates({ kind: "bind", sources: 4_096, warmup: 1 }),
  "Allocate, with challenge and release": rates({ kind: "allocate" }),
  "to peers, 100 allocations": relaying({ direction: "to-peer", allocations: 100 }),
  "to clients, 100 allocations": relaying({ direction: "to-client", allocations: 100 }),
};

export async function benchShards({ rounds = "5", seconds = "1.5", only = "" }): Promise<void> {
  await buildGenerators(["relaygen", "ratesgen"]);
  console.log(`${availableParallelism()} cores; medians of ${rounds} interleaved rounds, least and most behind them`);
  const servers = [await start(1), await start(2)];
  try {
    for (const [name, measure] of Object.entries(loads).filter(([name]) => name.includes(only))) {
      const runs = servers.map((): Run[] => []);
      for (const { flags } of servers) await measure(flags, 0.5);
      for (let round = 0; round < Number(rounds); round++) {
        for (const [i, { flags }] of servers.entries()) runs[i]?.push(await measure(flags, Number(seconds)));
      }
      report(name, runs as [Run[], Run[]]);
    }
  } finally {
    for (const { relay } of servers) await relay.stop();
  }
}

function report(name: string, [one, two]: readonly [Run[], Run[]]): void {
  const of = (runs: readonly Run[], key: keyof Run) => spread(runs.map((run) => run[key]));
  const [alone, both] = [of(one, "cpuMicroseconds"), of(two, "cpuMicroseconds")];
  const each = (runs: readonly Run[]) => {
    const [cpu, rate] = [of(runs, "cpuMicroseconds"), of(runs, "rate")];
    return `${cpu.median.toFixed(2)} µs (${cpu.min.toFixed(2)} to ${cpu.max.toFixed(2)}), ${Math.round(rate.median / 1_000)}k/s`;
  };
  const times = ((2 * alone.median) / both.median).toFixed(2);
  console.log(`${name}: one ${each(one)}; two ${each(two)}; with a core each, two carry ${times} × one`);
}
