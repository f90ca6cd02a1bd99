/** How many requests a second: Bindings, and whole lives of allocations (challenge, allocation, release). */
import { generate } from "./generator.ts";
import type { BenchServer, ServerName } from "./servers.ts";

export interface RateRun {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
  readonly utilization: number;
  readonly lost: number;
  readonly refused: number;
}

export interface RateResult {
  readonly kind: "bind" | "allocate";
  readonly runs: Record<ServerName, RateRun[]>;
}

export async function measureRequesting(
  servers: readonly BenchServer[],
  { rounds, seconds }: { rounds: number; seconds: number },
  progress: (line: string) => void,
): Promise<RateResult[]> {
  const results: RateResult[] = [
    { kind: "bind", runs: { postern: [], coturn: [] } },
    { kind: "allocate", runs: { postern: [], coturn: [] } },
  ];
  for (const { kind, runs } of results) {
    progress(kind === "bind" ? "Bindings" : "allocations");
    for (const server of servers) await generate("ratesgen", { ...server.flags, kind, seconds: 1 });
    for (let round = 0; round < rounds; round++) {
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
        runs[server.name].push(await generate<RateRun>("ratesgen", { ...server.flags, kind, seconds }));
      }
    }
  }
  return results;
}
