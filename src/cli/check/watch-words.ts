/** A watch in plain words: a line for each round, and a summary. */
import { percent } from "./quality.ts";
import { milliseconds } from "./relay-words.ts";
import type { Change, PathRound, PathSummary, Round } from "./watch-chronicle.ts";

export interface WatchSummary {
  readonly began: Date;
  readonly ended: Date;
  readonly paths: readonly PathSummary[];
}

function clock(time: Date): string {
  return time.toTimeString().slice(0, 8);
}

/** `14 s`, `3 min 5 s`, `2 h 4 min`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function describeStart(names: readonly string[], every: number): string {
  return `Watching ${names.join(", ")}. A line every ${every} s, until Ctrl-C; two small packets a second on each.`;
}

export function describeRound({ time, paths, changes }: Round): string {
  const states = paths.map(describePath).join("; ");
  const news = changes.map(describeChange).join("; ");
  return `${clock(time)}  ${states}${news === "" ? "" : `   ! ${news}`}`;
}

function describePath({ path, works, sent, lost, roundTrip, failure }: PathRound): string {
  if (failure !== undefined) return `${path}: ${failure}`;
  if (!works || roundTrip === undefined) return `${path}: nothing comes back`;
  const { median, jitter } = roundTrip;
  return `${path} ${milliseconds(median)} ms, jitter ${milliseconds(jitter)} ms, loss ${percent(lost / Math.max(1, sent))}`;
}

function describeChange(change: Change): string {
  const { path } = change;
  switch (change.kind) {
    case "died":
      return `${path} died at ${clock(change.at)}`;
    case "back":
      return `${path} is back since ${clock(change.at)}, after ${duration(change.seconds)}`;
    case "away":
      return `${path} was away at ${clock(change.at)} for ${duration(change.seconds)}`;
    case "address":
      return `the public address changed from ${change.before} to ${change.now}`;
    case "mapping":
      return `the NAT's mapping for ${path} changed from ${change.before} to ${change.now}`;
    case "replaced":
      return `${path} goes on over a new session: the old one was lost`;
  }
}

export function describeSummary({ began, ended, paths }: WatchSummary): string {
  const seconds = (ended.getTime() - began.getTime()) / 1000;
  const title = `Watched for ${duration(seconds)}, from ${clock(began)} to ${clock(ended)}.`;
  return ["", title, ...paths.map(describePathSummary)].join("\n");
}

function describePathSummary({ path, works, sent, lost, outages, worst }: PathSummary): string {
  if (!works || worst === undefined) return `  ${path}: never worked.`;
  const loss = `${percent(sent === 0 ? 0 : lost / sent)} of ${sent} packets lost`;
  const round = `worst: ${milliseconds(worst.roundTrip)} ms there and back, jitter ${milliseconds(worst.jitter)} ms, loss ${percent(worst.loss)} in one round`;
  return [`  ${path}: ${describeOutages(outages)}; ${loss}; ${round}.`].join("\n");
}

function describeOutages(outages: PathSummary["outages"]): string {
  if (outages.length === 0) return "no outage";
  const each = outages.map(({ from, seconds }) => {
    return `${clock(from)} ${seconds === undefined ? "until the end" : `for ${duration(seconds)}`}`;
  });
  return `${outages.length} ${outages.length === 1 ? "outage" : "outages"} (${each.join(", ")})`;
}
