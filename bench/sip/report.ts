/** What the benchmark of SIP found, in tables, and whether it is good enough. */
import type { Verdict } from "../goals.ts";
import { markdown, number, range } from "../report.ts";
import { type Spread, spread } from "../statistics.ts";
import type { SipServerName } from "./contenders.ts";
import type { ConnectionsMemory, PhonesMemory, RateResult, RateRun, TalkResult, TalkRun } from "./measure.ts";

export interface SipReport {
  readonly when: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly secondsPerRun: number;
  readonly rates: readonly RateResult[];
  readonly talks: readonly TalkResult[];
  readonly memory: readonly PhonesMemory[];
  readonly connections: readonly ConnectionsMemory[];
}

const names: readonly SipServerName[] = ["postern", "kamailio"];
const talkers: readonly ("postern" | "ebpf" | "kamailio")[] = ["postern", "ebpf", "kamailio"];
const rateGoal = 0.5;
/** Of rtpengine's packets a CPU second. */
const talkGoals = { postern: 2, ebpf: 6 } as const;
const delayGoalMs = 3;
const memoryGoalMegabytes = 100;

const each = <Run>(runs: readonly Run[], field: (run: Run) => number) => spread(runs.map(field));

/** Of what `field` gives, Postern's over the other's, round by round; rounds in which one of them gives 0 say nothing. */
function over<Run>(
  runs: Record<SipServerName, readonly Run[]>,
  field: (run: Run) => number,
  { name = "postern", ofOther = field }: { name?: "postern" | "ebpf"; ofOther?: (run: Run) => number } = {},
): Spread | undefined {
  const ratios = runs[name].flatMap((run, i) => {
    const other = runs.kamailio[i];
    const [own, others] = [field(run), other === undefined ? 0 : ofOther(other)];
    return own > 0 && others > 0 ? [own / others] : [];
  });
  return ratios.length === 0 ? undefined : spread(ratios);
}

const shown = (ratio: Spread | undefined) => (ratio === undefined ? "-" : range(ratio, 2));

/** Not met where there is nothing to compare. */
function ratioVerdict(goal: string, ratio: Spread | undefined, least: number): Verdict {
  return { goal, reached: ratio?.median.toFixed(2) ?? "-", met: ratio !== undefined && ratio.median >= least };
}

/** A second of CPU does so many. */
const perCpuSecond = ({ cpuMicroseconds }: { cpuMicroseconds: number }) => 1e6 / cpuMicroseconds;
const fellBehind = (run: TalkRun, calls: number) => run.packetsPerSecond < 99 * calls;
/** Of packets that were carried; 0 where calls went past the relay. */
const carriedPerCpuSecond = (run: TalkRun) => (run.direct > 0 ? 0 : perCpuSecond(run));

/** Postern's over rtpengine's. Postern must have carried the whole load; where the other fell behind, it is over what that carried. */
function talkRatio(runs: TalkResult["runs"], calls: number, name: "postern" | "ebpf"): Spread | undefined {
  const whole = (run: TalkRun) => (fellBehind(run, calls) ? 0 : carriedPerCpuSecond(run));
  return over(runs, whole, { name, ofOther: carriedPerCpuSecond });
}

const countedRate = ({ counted }: RateRun) => counted?.perSecond ?? 0;

function rateTable(results: readonly RateResult[]): string {
  const rows = results.flatMap(({ workload, runs }) =>
    names.map((name) => {
      const all = runs[name];
      const saturated = all.map((run) => run.saturated);
      const failed = all.filter(({ counted }) => counted === null).length;
      return [
        workload,
        name,
        range(each(all, countedRate)),
        range(each(saturated, ({ perSecond }) => perSecond)),
        range(each(saturated, ({ cpuMicroseconds }) => cpuMicroseconds)),
        range(
          each(saturated, ({ utilization }) => utilization),
          2,
        ),
        name === "postern" ? ratios(runs) : "",
        range(
          each(saturated, ({ p95Ms }) => p95Ms),
          1,
        ),
        failed > 0 ? `in ${failed} of ${all.length} rounds no rate counted` : "",
      ];
    }),
  );
  const head = [
    "what",
    "server",
    "a second, that counts",
    "saturated",
    "CPU µs each",
    "of a core",
    "Postern/Kamailio: rate, a CPU second",
    "p95 ms, saturated",
    "note",
  ];
  return markdown(head, rows);
}

function ratios(runs: RateResult["runs"]): string {
  const cpu = over(runs, ({ saturated }) => perCpuSecond(saturated));
  return `${shown(over(runs, countedRate))}; ${shown(cpu)}`;
}

const titles = { postern: "postern", ebpf: "postern, offload", kamailio: "kamailio, rtpengine" } as const;

function talkTable(results: readonly TalkResult[]): string {
  const rows = results.flatMap(({ calls, runs }) =>
    talkers.map((name) => {
      const all: readonly TalkRun[] = runs[name];
      const foreign = all.reduce((sum, run) => sum + run.foreign, 0);
      const behind = all.filter((run) => fellBehind(run, calls)).length;
      const notes = [
        ...(behind > 0 ? [`fell behind in ${behind} of ${all.length} rounds`] : []),
        ...(all.some((run) => run.direct > 0) ? ["not all calls were led through the relay"] : []),
        ...(foreign > 0 ? [`${foreign} packets went astray`] : []),
      ];
      return [
        String(calls),
        titles[name],
        range(each(all, ({ packetsPerSecond }) => packetsPerSecond)),
        range(
          each(all, ({ cpuMicroseconds }) => cpuMicroseconds),
          1,
        ),
        name === "kamailio" ? "" : shown(talkRatio(runs, calls, name)),
        range(
          each(all, ({ lossPercent }) => lossPercent),
          3,
        ),
        range(each(all, ({ p50Microseconds }) => p50Microseconds)),
        range(each(all, ({ p99Microseconds }) => p99Microseconds)),
        notes.join("; "),
      ];
    }),
  );
  const head = [
    "calls",
    "server",
    "packets/s",
    "CPU µs/packet",
    "Postern's a CPU second, over",
    "loss %",
    "p50 µs",
    "p99 µs",
    "note",
  ];
  return markdown(head, rows);
}

function memoryTable(results: readonly PhonesMemory[]): string {
  const rows = results.map(({ server, phones, idleKilobytes, heldKilobytes }) => [
    server === "kamailio" ? "kamailio, rtpengine" : server,
    number(idleKilobytes / 1024, 1),
    number(phones),
    number(heldKilobytes / 1024, 1),
    number((heldKilobytes - idleKilobytes) / phones, 2),
  ]);
  return markdown(["server", "idle MB", "phones", "MB with them", "KB each"], rows);
}

function connectionsTable(results: readonly ConnectionsMemory[]): string {
  const rows = results.map(({ transport, connections, idleKilobytes, heldKilobytes }) => [
    transport.toUpperCase(),
    number(idleKilobytes / 1024, 1),
    number(connections),
    number(heldKilobytes / 1024, 1),
    number((heldKilobytes - idleKilobytes) / (connections - 1), 1),
  ]);
  return markdown(["Postern's phones on", "MB with one", "connections", "MB with them", "KB each"], rows);
}

export function formatSip(report: SipReport): string {
  const { when, machine, rounds, secondsPerRun, rates, talks, memory, connections } = report;
  const on = Object.entries(machine).map(([what, value]) => `${what} ${value}`);
  const parts = [
    `${when.slice(0, 10)}: ${on.join("; ")}. Medians of ${rounds} rounds of ${secondsPerRun} s (least-most).`,
  ];
  if (rates.length > 0) parts.push("### Registrations and calls", rateTable(rates));
  if (talks.length > 0) parts.push("### Calls with sound", talkTable(talks));
  if (memory.length > 0) parts.push("### Registered phones", memoryTable(memory));
  if (connections.length > 0) parts.push("### Connected phones", connectionsTable(connections));
  return parts.join("\n\n");
}

export function judgeSip({ rates, talks, memory }: SipReport): Verdict[] {
  const verdicts = rates.map(({ workload, runs }) =>
    ratioVerdict(`${workload}: ${rateGoal} of Kamailio's rate`, over(runs, countedRate), rateGoal),
  );
  for (const { calls, runs } of talks) {
    for (const name of ["postern", "ebpf"] as const) {
      const goal = `${calls} calls with sound, ${titles[name]}: ${talkGoals[name]} × rtpengine's packets a CPU second`;
      verdicts.push(ratioVerdict(goal, talkRatio(runs, calls, name), talkGoals[name]));
    }
    const loss = each(runs.postern, ({ lossPercent }) => lossPercent).median;
    verdicts.push({ goal: `${calls} calls: loss under 0.1 %`, reached: `${loss.toFixed(3)} %`, met: loss < 0.1 });
    const p99 = each(runs.postern, ({ p99Microseconds }) => p99Microseconds).median / 1000;
    if (calls === 500)
      verdicts.push({
        goal: `${calls} calls: p99 under ${delayGoalMs} ms`,
        reached: `${p99.toFixed(1)} ms`,
        met: p99 < delayGoalMs,
      });
  }
  for (const { server, phones, idleKilobytes, heldKilobytes } of memory) {
    if (server !== "postern") continue;
    const megabytes = (heldKilobytes - idleKilobytes) / 1024;
    verdicts.push({
      goal: `${phones} phones on UDP within ${memoryGoalMegabytes} MB over idle`,
      reached: `${megabytes.toFixed(0)} MB`,
      met: megabytes <= memoryGoalMegabytes,
    });
  }
  return verdicts;
}
