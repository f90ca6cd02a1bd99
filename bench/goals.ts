/** What the plain `dgram` datapath must reach; better datapaths will raise the bar. */
import { type Report, relayRatio } from "./report.ts";
import { spread } from "./statistics.ts";

/** Packets per CPU second over coturn's, by number of allocations. */
const relayGoals = new Map([
  [1, 0.5],
  [1_000, 0.42],
]);
const bindingsPerSecond = 60_000;
const memoryGoal = { allocations: 10_000, megabytes: 120 };

export interface Verdict {
  readonly goal: string;
  readonly reached: string;
  readonly met: boolean;
}

export function judge(report: Report): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const result of report.relaying) {
    const goal = relayGoals.get(result.allocations);
    if (goal === undefined) continue;
    const { median } = relayRatio(result);
    verdicts.push({
      goal: `${result.allocations} allocations, ${result.size} B, ${result.direction}: ${goal} of coturn's`,
      reached: median.toFixed(2),
      met: median >= goal,
    });
  }
  for (const { workload, runs } of report.requesting) {
    if (!workload.startsWith("Binding")) continue;
    const { median } = spread(
      runs.postern.map(({ perSecond, utilization }) => perSecond / Math.max(utilization, 0.01)),
    );
    verdicts.push({
      goal: `${workload}: ${bindingsPerSecond} a second and core`,
      reached: median.toFixed(0),
      met: median >= bindingsPerSecond,
    });
  }
  for (const { server, allocations, idleKilobytes, heldKilobytes } of report.memory) {
    if (server !== "postern" || allocations !== memoryGoal.allocations) continue;
    const megabytes = (heldKilobytes - idleKilobytes) / 1024;
    verdicts.push({
      goal: `${allocations} allocations within ${memoryGoal.megabytes} MB over idle`,
      reached: `${megabytes.toFixed(0)} MB`,
      met: megabytes <= memoryGoal.megabytes,
    });
  }
  return verdicts;
}
