/**
 * What a relayed packet costs. Each combination of allocations, size and direction is run twice a round: saturated, for
 * CPU a packet and the most that passes, and at a fixed rate that both servers sustain, for loss and latency; latency at
 * saturation is only the length of the generator's window. Rounds alternate between the servers.
 */
import { generate } from "./generator.ts";
import { type BenchServer, type ServerName, serverNames } from "./servers.ts";

export interface RelayCell {
  readonly allocations: number;
  readonly size: number;
  readonly direction: "to-peer" | "to-client";
  /** So many packets in a row for the same allocation. */
  readonly burst: number;
}

export interface RelayRun {
  readonly packetsPerSecond: number;
  readonly cpuMicroseconds: number;
  readonly utilization: number;
  readonly lossPercent: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
}

export interface RelayResult extends RelayCell {
  readonly runs: Record<ServerName, { saturated: RelayRun[]; paced: RelayRun[] }>;
}

/** Of a core. Below it the server was waiting, and its CPU a packet says nothing about its limit. */
export const saturatedFrom = 0.9;
const retries = 2;

export interface RelayPlan {
  readonly cells: readonly RelayCell[];
  readonly rounds: number;
  readonly seconds: number;
  /** Packets per second of the paced runs. */
  readonly rate: number;
}

export async function measureRelaying(
  servers: readonly BenchServer[],
  { cells, rounds, seconds, rate }: RelayPlan,
  progress: (line: string) => void,
): Promise<RelayResult[]> {
  const run = (server: BenchServer, cell: RelayCell, extra: { rate: number; seconds: number }) =>
    generate<RelayRun>("relaygen", { ...server.flags, ...cell, ...extra });

  /** A saturated run in which the server could wait is done again: something else had the core. */
  const saturate = async (server: BenchServer, cell: RelayCell) => {
    let best = await run(server, cell, { rate: 0, seconds });
    for (let again = 0; again < retries && best.utilization < saturatedFrom; again++) {
      const next = await run(server, cell, { rate: 0, seconds });
      if (next.utilization > best.utilization) best = next;
    }
    return best;
  };

  progress("warming up");
  for (const server of servers) {
    for (const cell of cells) await run(server, cell, { rate: 0, seconds: Math.min(seconds, 1) });
  }
  const results = cells.map((cell): RelayResult => {
    return { ...cell, runs: eachServer(() => ({ saturated: [], paced: [] })) };
  });
  for (let round = 0; round < rounds; round++) {
    progress(`relaying, round ${round + 1} of ${rounds}`);
    for (const [i, cell] of cells.entries()) {
      for (const server of (round + i) % 2 === 0 ? servers : servers.toReversed()) {
        const { saturated, paced } = results[i]!.runs[server.name];
        saturated.push(await saturate(server, cell));
        paced.push(await run(server, cell, { rate, seconds }));
      }
    }
  }
  return results;
}

export function eachServer<T>(make: () => T): Record<ServerName, T> {
  return Object.fromEntries(serverNames.map((name) => [name, make()])) as Record<ServerName, T>;
}
