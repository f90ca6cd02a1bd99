/** What the picture shows, for those who do not see it. */

import type { Result } from "../scenario.ts";
import { type Conversation, conversationsOf, type Path, type PathStop, pathsOf, purposes } from "./path.ts";
import { describePorts } from "./scene.ts";

export function packets(count: number): string {
  return count === 1 ? "1 packet" : `${count.toLocaleString("en-US")} packets`;
}

/** Where a path's packets ended, each place with how many; empty when all arrived. */
export function lossesOf({ stops, to }: Path): string[] {
  return stops.flatMap(({ node, dropped, vanished, destinations }, i) => {
    const onWay = i === stops.length - 1 ? `nobody has ${destinations[0]} there` : `lost after ${node}`;
    return [
      ...(dropped > 0 ? [`${dropped} ended at ${node}${node === to ? ", for nobody behind it" : ""}`] : []),
      ...(vanished > 0 ? [`${vanished} went astray: ${onWay}`] : []),
    ];
  });
}

function via(stops: readonly PathStop[]): string {
  const between = stops.slice(1, -1).map(({ node }) => node);
  return between.length === 0 ? "" : ` through ${between.join(" and ")}`;
}

function describePath(path: Path): string {
  const { from, to, sent, received, stops, protocol } = path;
  const losses = lossesOf(path);
  const how = `${from} sent ${to} ${packets(sent)} over ${protocol.toUpperCase()}`;
  if (losses.length === 0) return `${how}, and ${received === 1 ? "it" : "all"} arrived${via(stops)}`;
  return `${how}, and ${received} arrived: ${losses.join("; ")}`;
}

function describe({ purpose, there, back }: Conversation): string {
  const answer = back === undefined ? "" : `; ${describePath(back)}`;
  return `${sentenceCase(purposes[purpose])}: ${describePath(there)}${answer}.`;
}

export function sentenceCase(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** A sentence for each conversation, the most telling first. */
export function describePaths(result: Pick<Result, "plan" | "passages">): string[] {
  return conversationsOf(pathsOf(result)).map(describe);
}

/** How a path looks at each stop: `alice:20000 → home router:3022 → bob`. */
export function describeStops({ stops }: Path): string {
  return stops
    .map(({ node, left, sources }, i) => (left > 0 || i === 0 ? `${node} ${describePorts(sources)}` : node))
    .join(" → ");
}

/** Where packets ended, a line for each path that lost some. */
export function lossLines(result: Pick<Result, "plan" | "passages">): string[] {
  return pathsOf(result).flatMap((path) => {
    const losses = lossesOf(path);
    return losses.length === 0 ? [] : [`X ${path.from} to ${path.to}: of ${packets(path.sent)} ${losses.join("; ")}.`];
  });
}

/** "7 scenarios, 14 runs: all as expected". */
export function summarize(results: readonly Result[]): string {
  const failed = results.filter(({ passed }) => !passed).length;
  const scenarios = new Set(results.map(({ scenario }) => scenario.name)).size;
  const runs = results.length === scenarios ? "" : `, ${results.length} runs`;
  const verdict = failed === 0 ? "all as expected" : `${failed} not as expected`;
  return `${scenarios} ${scenarios === 1 ? "scenario" : "scenarios"}${runs}: ${verdict}`;
}
