/** What each datapath must reach. */
import type { RelayCell } from "./relaying.ts";
import { type Report, relayRatio } from "./report.ts";
import type { RateResult } from "./requesting.ts";
import { spread } from "./statistics.ts";

interface RelayGoal {
  readonly of: "postern mmsg" | "postern dgram";
  readonly cell: Partial<RelayCell>;
  readonly how: "saturated" | "paced";
  /** Packets per CPU second over coturn's. */
  readonly ratio: number;
}
const relayGoals: readonly RelayGoal[] = [
  { of: "postern mmsg", cell: { allocations: 1 }, how: "saturated", ratio: 1.25 },
  { of: "postern mmsg", cell: { allocations: 1_000, direction: "to-peer" }, how: "saturated", ratio: 1 },
  { of: "postern mmsg", cell: { allocations: 1_000, direction: "to-client" }, how: "saturated", ratio: 1.25 },
  { of: "postern mmsg", cell: { burst: 16 }, how: "saturated", ratio: 2 },
  { of: "postern mmsg", cell: { allocations: 100, burst: 1 }, how: "paced", ratio: 1.6 },
  { of: "postern dgram", cell: { allocations: 1 }, how: "saturated", ratio: 0.5 },
  { of: "postern dgram", cell: { allocations: 1_000 }, how: "saturated", ratio: 0.42 },
];
const bindingsPerSecond = { "postern mmsg": 250_000, "postern dgram": 60_000 };
const allocationsPerSecond = 8_000;
/** Allocations per CPU second over coturn's. */
const allocationsRatio = 5;
const idleMegabytes = 130;
const memoryGoal = { allocations: 10_000, megabytes: { "postern mmsg": 25, "postern dgram": 120 } };

export interface Verdict {
  readonly goal: string;
  readonly reached: string;
  readonly met: boolean;
}

export function judge(report: Report): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const { of, cell, how, ratio } of relayGoals) {
    for (const result of report.relaying.filter((one) => isOf(cell, one))) {
      const { median } = relayRatio(result, of, how);
      const what = `${result.allocations} allocations, ${result.size} B, ${result.burst} in a row, ${result.direction}`;
      verdicts.push({
        goal: `${of}, ${what}, ${how}: ${ratio} of coturn's`,
        reached: median.toFixed(2),
        met: median >= ratio,
      });
    }
  }
  for (const { workload, runs } of report.requesting) {
    if (workload.startsWith("Allocate")) verdicts.push(...judgeAllocations(runs));
    if (!workload.startsWith("Binding")) continue;
    for (const [name, least] of Object.entries(bindingsPerSecond) as [RelayGoal["of"], number][]) {
      const { median } = spread(
        runs[name].map(({ perSecond, utilization }) => perSecond / Math.max(utilization, 0.01)),
      );
      verdicts.push({
        goal: `${name}, ${workload}: ${least} a second and core`,
        reached: median.toFixed(0),
        met: median >= least,
      });
    }
  }
  for (const { server, allocations, idleKilobytes, heldKilobytes } of report.memory) {
    if (server === "coturn" || allocations !== memoryGoal.allocations) continue;
    const most = memoryGoal.megabytes[server];
    verdicts.push({
      goal: `${server} within ${idleMegabytes} MB when idle`,
      reached: `${(idleKilobytes / 1024).toFixed(0)} MB`,
      met: idleKilobytes / 1024 <= idleMegabytes,
    });
    const megabytes = (heldKilobytes - idleKilobytes) / 1024;
    verdicts.push({
      goal: `${server}, ${allocations} allocations within ${most} MB over idle`,
      reached: `${megabytes.toFixed(0)} MB`,
      met: megabytes <= most,
    });
  }
  return verdicts;
}

function judgeAllocations(runs: RateResult["runs"]): Verdict[] {
  const own = runs["postern mmsg"];
  const rate = spread(own.map(({ perSecond, utilization }) => perSecond / Math.max(utilization, 0.01))).median;
  const ratio = spread(
    own.map((run, i) => (runs.coturn[i]?.cpuMicroseconds ?? Number.NaN) / run.cpuMicroseconds),
  ).median;
  return [
    {
      goal: `postern mmsg: ${allocationsPerSecond} allocations a second and core`,
      reached: rate.toFixed(0),
      met: rate >= allocationsPerSecond,
    },
    {
      goal: `postern mmsg: allocations at ${allocationsRatio} of coturn's`,
      reached: ratio.toFixed(2),
      met: ratio >= allocationsRatio,
    },
  ];
}

function isOf(cell: Partial<RelayCell>, one: RelayCell): boolean {
  return Object.entries(cell).every(([field, value]) => one[field as keyof RelayCell] === value);
}
