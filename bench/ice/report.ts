/** What the benchmark of ICE found, in tables, and whether it is good enough. */
import type { Verdict } from "../goals.ts";
import { markdown, number, range } from "../report.ts";
import { type Spread, spread } from "../statistics.ts";
import type { ContenderName } from "./contender.ts";
import type { IceResult } from "./measure.ts";

export interface IceReport {
  readonly when: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly ice: readonly IceResult[];
}

const names: readonly ContenderName[] = ["postern", "libnice", "chromium"];
const resumedWithinMs = 800;
/** Beyond, the signaling and the checks alone may take as long. */
const goalUpToDelay = 50;

/** It came to that in every round. A report that was read again has null for NaN. */
function isWhole(values: readonly number[]): boolean {
  return values.length > 0 && values.every(Number.isFinite);
}

function cell(values: readonly number[]): string {
  return isWhole(values) ? range(spread(values)) : "-";
}

/** Postern's over the other's, round by round. */
function over(own: readonly number[], other: readonly number[]): Spread {
  return spread(own.map((one, i) => one / (other[i] ?? Number.NaN)));
}

function ratios(name: ContenderName, values: (of: ContenderName) => readonly number[]): string {
  return name === "postern" || !isWhole(values(name)) ? "" : number(over(values("postern"), values(name)).median, 2);
}

function connectTable(results: readonly IceResult[]): string {
  const rows = results.flatMap(({ case: what, delay, connecting }) =>
    names.map((name) => {
      const runs = connecting[name];
      const nominated = (of: ContenderName) => connecting[of].map((run) => run.nominated);
      return [
        what,
        `${delay} ms`,
        name,
        cell(runs.map(({ gathering }) => gathering)),
        cell(runs.map(({ usable }) => usable)),
        cell(nominated(name)),
        ratios(name, nominated),
        runs.every(({ relayed }) => relayed === 0) ? "direct" : "relayed",
      ];
    }),
  );
  const head = ["networks", "one way", "agents", "gathering", "usable", "nominated", "Postern's over it", "path"];
  return markdown(head, rows);
}

function restartTable(results: readonly IceResult[]): string {
  const rows = results.flatMap(({ delay, restarting }) =>
    names.map((name) => {
      const runs = restarting[name];
      const moved = (of: ContenderName) => restarting[of].map((run) => run.moved);
      const total = (of: "lost" | "sent") => runs.reduce((sum, run) => sum + run[of], 0);
      return [
        `${delay} ms`,
        name,
        `${total("lost")} of ${number(total("sent"))}`,
        cell(moved(name)),
        ratios(name, moved),
        cell(runs.map(({ resumed }) => resumed)),
      ];
    }),
  );
  const head = ["one way", "agents", "lost, path alive", "path dead: nominated", "Postern's over it", "data"];
  return markdown(head, rows);
}

export function formatIce(report: IceReport): string {
  const machine = Object.entries(report.machine).map(([what, value]) => `${what} ${value}`);
  const restarted = report.ice.filter(({ restarting }) => restarting.postern.length > 0);
  return [
    `${report.when.slice(0, 10)}: ${machine.join("; ")}. Milliseconds; medians of ${report.rounds} rounds (least-most).`,
    "### Connecting",
    connectTable(report.ice),
    "### Restarting",
    restartTable(restarted),
  ].join("\n\n");
}

export function judgeIce({ ice }: IceReport): Verdict[] {
  return ice
    .filter(({ restarting }) => restarting.postern.length > 0)
    .flatMap(({ delay, restarting: { postern } }) => {
      const lost = postern.reduce((sum, run) => sum + run.lost, 0);
      const alive = {
        goal: `restart at ${delay} ms: no packet lost while the old path lives`,
        reached: `${lost}`,
        met: lost === 0,
      };
      if (delay > goalUpToDelay) return [alive];
      const { median } = spread(postern.map(({ resumed }) => resumed));
      const dead = {
        goal: `restart at ${delay} ms: data within ${resumedWithinMs} ms where the old path died`,
        reached: `${median.toFixed(0)} ms`,
        met: median <= resumedWithinMs,
      };
      return [alive, dead];
    });
}
