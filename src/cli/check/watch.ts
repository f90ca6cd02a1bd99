/** `postern check --watch`: the same servers asked on and on, for the network that fails now and then. */
import { setTimeout as pause } from "node:timers/promises";
import { monotonicNow } from "../../node/clock.ts";
import type { Servers } from "./measure.ts";
import { adviceOn } from "./refusals.ts";
import { Chronicle, type Round } from "./watch-chronicle.ts";
import { watchedPaths } from "./watch-paths.ts";
import { describeRound, describeStart, describeSummary } from "./watch-words.ts";
import { plainValues } from "./words.ts";

export interface WatchOptions {
  /** Seconds. */
  readonly every: number;
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** Until the signal. Resolves true when there was no outage, and something to watch worked. */
export async function watch(servers: Servers, { every, json, signal }: WatchOptions): Promise<boolean> {
  const paths = watchedPaths(servers);
  const names = paths.map(({ name }) => name);
  const began = new Date();
  const chronicle = new Chronicle(names);
  const print = (words: string, object: unknown): void => {
    console.log(json ? JSON.stringify(object, plainValues) : words);
  };
  if (!json) console.log(describeStart(names, every));
  try {
    const broken = Promise.race(paths.map(({ path }) => path.ended));
    broken.catch(() => {});
    while (!signal.aborted) {
      await Promise.race([pause(every * 1000, undefined, { signal }).catch(() => {}), broken]);
      if (signal.aborted) break;
      const round = takeRound(paths, chronicle);
      print(describeRound(round), round);
    }
    // What the last, unfinished round has seen belongs to the summary.
    takeRound(paths, chronicle);
  } finally {
    await Promise.all(paths.map(({ path }) => path.stop()));
  }
  const summary = { began, ended: new Date(), paths: chronicle.summary };
  print(describeSummary(summary), { summary });
  return summary.paths.every(({ outages, works }) => works && outages.length === 0);
}

function takeRound(paths: ReturnType<typeof watchedPaths>, chronicle: Chronicle): Round {
  const behind = Date.now() - monotonicNow();
  const seen = paths.map(({ path }) => ({
    figures: path.take(),
    isOut: path.outages.isOut,
    outages: path.outages.all.map(({ from, until }) => ({
      from: new Date(from + behind),
      until: until === undefined ? undefined : new Date(until + behind),
    })),
    mapped: path.mapped,
    carriers: path.carriers,
    failure: path.failure === undefined ? undefined : adviceOn(path.failure).why,
  }));
  return { time: new Date(), ...chronicle.add(seen) };
}
