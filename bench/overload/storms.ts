/**
 * Overload: a storm of three times what the server can take, of one kind, beside a thousand sessions that are each
 * refreshed every ten seconds, and beside a few clients that ask for a new allocation. Then, when the storm has been over
 * for a second, whether everything is as before.
 */
import { setTimeout as delay } from "node:timers/promises";
import { startChild } from "../../test/support/child.ts";
import { until } from "../../test/support/until.ts";
import { generate, serverCore, startGenerator } from "../generator.ts";
import type { RelayRun } from "../relaying.ts";
import type { RateRun } from "../requesting.ts";
import { type BenchServer, type ServerName, startServer } from "../servers.ts";

const times = 3;
const sessions = 1_000;
const refreshPeriod = 10;
/** New allocations a second, beside the storm and after it. */
const newcomers = 20;
/** A server may take so long to be itself again. */
const recoveryMs = 1_000;

/**
 * Programs that never wait and share the server's core, for storms of what the generator could not else send three times as much of:
 * it has one core, and there is little that a server does with such packets.
 */
const company = { media: 6, allocations: 0, Bindings: 7, challenges: 7 } as const;

export const storms = ["media", "allocations", "Bindings", "challenges"] as const;
export type Storm = (typeof storms)[number];

/** What became of requests, by their answers; `silent`: none came. */
export interface Fate {
  readonly perSecond: number;
  readonly answered: number;
  readonly granted: number;
  readonly shed: number;
  readonly refused: number;
  readonly silent: number;
}

export interface Refreshes {
  readonly refreshes: number;
  readonly succeeded: number;
  /** At the first time of asking. */
  readonly atOnce: number;
  readonly failed: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  readonly worstMicroseconds: number;
}

export interface OverloadResult {
  readonly storm: Storm;
  readonly server: ServerName;
  /** What the server takes, a second, measured just before. */
  readonly capacity: number;
  /** What was sent, and what of it was served. */
  readonly sentPerSecond: number;
  readonly servedPerSecond: number;
  readonly newcomers: Fate;
  readonly refreshes: Refreshes;
  /** New allocations from one second after the storm on. */
  readonly afterwards: Fate;
}

export async function measureOverload(
  which: readonly Storm[],
  names: readonly ServerName[],
  seconds: number,
  progress: (line: string) => void,
): Promise<OverloadResult[]> {
  const results: OverloadResult[] = [];
  for (const storm of which) {
    for (const name of names) {
      progress(`overload of ${name} by ${storm}`);
      const server = await startServer(name);
      try {
        results.push(await weather(server, storm, seconds));
      } finally {
        await server.relay.stop();
      }
    }
  }
  return results;
}

async function weather(server: BenchServer, storm: Storm, seconds: number): Promise<OverloadResult> {
  await using busy = new AsyncDisposableStack();
  for (let i = 0; i < company[storm]; i++) {
    const child = await startChild([...serverCore, "sh", "-c", "while :; do :; done"]);
    busy.defer(async () => {
      await child.stop("SIGKILL");
    });
  }
  // The first time the compiler is at work.
  await capacityFor(server, storm);
  const capacity = await capacityFor(server, storm);
  const keeper = await startGenerator("stormgen", {
    ...server.flags,
    kind: "keep",
    clients: sessions,
    period: refreshPeriod,
    seconds: seconds + 2,
  });
  try {
    await until("the sessions to stand", () => keeper.output().includes('"held"'), { within: 30_000 });
    const asking = { ...server.flags, kind: "allocate", rate: newcomers };
    const [strangers, { sent, served }] = await Promise.all([
      generate<Fate>("stormgen", { ...asking, seconds }),
      blow(server, storm, capacity * times, seconds),
    ]);
    await delay(recoveryMs);
    const afterwards = await generate<Fate>("stormgen", { ...asking, seconds: 1 });
    const told = await until("the refreshes to end", () => /\{"refreshes".*\}/.exec(keeper.output())?.[0], {
      within: 60_000,
    });
    return {
      storm,
      server: server.name,
      capacity,
      sentPerSecond: sent,
      servedPerSecond: served,
      newcomers: strangers,
      refreshes: JSON.parse(told) as Refreshes,
      afterwards,
    };
  } finally {
    await keeper.stop();
  }
}

const media = { allocations: 100, size: 172, burst: 1, direction: "to-peer" };

async function capacityFor({ flags }: BenchServer, storm: Storm): Promise<number> {
  if (storm === "media") {
    return (await generate<RelayRun>("relaygen", { ...flags, ...media, rate: 0, seconds: 2 })).packetsPerSecond;
  }
  const kind = storm === "allocations" ? "allocate" : "bind";
  return (await generate<RateRun>("ratesgen", { ...flags, kind, sources: 15_000_000, seconds: 2 })).perSecond;
}

/** Sent and served a second. */
async function blow(
  { flags }: BenchServer,
  storm: Storm,
  rate: number,
  seconds: number,
): Promise<{ sent: number; served: number }> {
  if (storm === "media") {
    const run = await generate<RelayRun>("relaygen", { ...flags, ...media, rate: Math.round(rate), seconds });
    return { sent: run.packetsPerSecond / (1 - run.lossPercent / 100), served: run.packetsPerSecond };
  }
  const kind = storm === "allocations" ? "allocate" : storm === "Bindings" ? "bind" : "challenge";
  const fate = await generate<Fate>("stormgen", { ...flags, kind, rate: Math.round(rate), seconds });
  const served = storm === "allocations" ? fate.granted : fate.answered;
  return { sent: fate.perSecond, served: served / seconds };
}
