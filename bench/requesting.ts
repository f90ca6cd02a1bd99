/** How many requests a second: Bindings, and whole lives of allocations (challenge, allocation, release). */
import { generate } from "./generator.ts";
import { eachServer } from "./relaying.ts";
import type { BenchServer, ServerName } from "./servers.ts";

export interface RateRun {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
  readonly utilization: number;
  readonly lost: number;
  readonly refused: number;
}

/** A server may know a source already, or have to get to know it: that can make all the difference. */
const workloads = {
  "Binding, 4,096 sources in turn": { kind: "bind", sources: 4_096, warmup: 1 },
  "Binding, always a new source": { kind: "bind", sources: 15_000_000 },
  "Allocate, with challenge and release": { kind: "allocate" },
} as const;
export type Workload = keyof typeof workloads;

export interface RateResult {
  readonly workload: Workload;
  readonly runs: Record<ServerName, RateRun[]>;
}

export async function measureRequesting(
  servers: readonly BenchServer[],
  { rounds, seconds }: { rounds: number; seconds: number },
  progress: (line: string) => void,
): Promise<RateResult[]> {
  const results: RateResult[] = [];
  for (const [name, load] of Object.entries(workloads)) {
    progress(name);
    const runs: RateResult["runs"] = eachServer(() => []);
    for (const server of servers) await generate("ratesgen", { ...server.flags, ...load, seconds: 1 });
    for (let round = 0; round < rounds; round++) {
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
        runs[server.name].push(await generate<RateRun>("ratesgen", { ...server.flags, ...load, seconds }));
      }
    }
    results.push({ workload: name as Workload, runs });
  }
  return results;
}
