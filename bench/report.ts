/** What a benchmark found, as JSON for later and as Markdown tables for the terminal and for docs/performance.md. */
import { type RelayResult, type RelayRun, saturatedFrom } from "./relaying.ts";
import type { MemoryResult } from "./remembering.ts";
import type { RateResult, RateRun } from "./requesting.ts";
import { type ServerName, serverNames } from "./servers.ts";
import { type Spread, spread } from "./statistics.ts";

export interface Report {
  readonly when: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly secondsPerRun: number;
  /** Packets per second of the paced runs. */
  readonly pacedRate: number;
  readonly relaying: readonly RelayResult[];
  readonly requesting: readonly RateResult[];
  readonly memory: readonly MemoryResult[];
}

/** Packets (or requests) per CPU second, Postern's over coturn's, round by round. */
type Costs = readonly { readonly cpuMicroseconds: number }[];
function ratio(own: Costs, coturn: Costs): Spread {
  return spread(own.map((run, i) => (coturn[i]?.cpuMicroseconds ?? Number.NaN) / run.cpuMicroseconds));
}

export function relayRatio({ runs }: RelayResult, name: ServerName, how: "saturated" | "paced" = "saturated"): Spread {
  return ratio(runs[name][how], runs.coturn[how]);
}

export const number = (value: number, digits = 0) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const range = ({ median, min, max }: Spread, digits = 0) =>
  `${number(median, digits)} (${number(min, digits)}-${number(max, digits)})`;

export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

const isPostern = (name: ServerName) => name !== "coturn";
const each = <Run>(runs: readonly Run[], field: (run: Run) => number) => spread(runs.map(field));

function saturatedTable(results: readonly RelayResult[]): string {
  const rows = results.flatMap((result) =>
    serverNames.map((name) => {
      const runs: readonly RelayRun[] = result.runs[name].saturated;
      const idle = runs.some(({ utilization }) => utilization < saturatedFrom);
      return [
        String(result.allocations),
        `${result.size} B`,
        String(result.burst),
        result.direction.replace("-", " "),
        name,
        range(each(runs, ({ packetsPerSecond }) => packetsPerSecond)),
        range(
          each(runs, ({ cpuMicroseconds }) => cpuMicroseconds),
          2,
        ),
        isPostern(name) ? range(relayRatio(result, name), 2) : "",
        idle ? `not saturated (${number(each(runs, ({ utilization }) => utilization).min, 2)})` : "",
      ];
    }),
  );
  const head = [
    "allocations",
    "payload",
    "in a row",
    "direction",
    "server",
    "packets/s",
    "CPU µs/packet",
    "Postern/coturn",
    "note",
  ];
  return markdown(head, rows);
}

function pacedTable(results: readonly RelayResult[]): string {
  const rows = results.flatMap((result) =>
    serverNames.map((name) => {
      const runs: readonly RelayRun[] = result.runs[name].paced;
      return [
        String(result.allocations),
        `${result.size} B`,
        String(result.burst),
        result.direction.replace("-", " "),
        name,
        range(
          each(runs, ({ cpuMicroseconds }) => cpuMicroseconds),
          1,
        ),
        isPostern(name) ? range(relayRatio(result, name, "paced"), 2) : "",
        range(
          each(runs, ({ lossPercent }) => lossPercent),
          3,
        ),
        range(each(runs, ({ p50Microseconds }) => p50Microseconds)),
        range(each(runs, ({ p99Microseconds }) => p99Microseconds)),
      ];
    }),
  );
  const head = [
    "allocations",
    "payload",
    "in a row",
    "direction",
    "server",
    "CPU µs/packet",
    "Postern/coturn",
    "loss %",
    "p50 µs",
    "p99 µs",
  ];
  return markdown(head, rows);
}

function rateTable(results: readonly RateResult[]): string {
  const rows = results.flatMap(({ workload, runs }) =>
    serverNames.map((name) => {
      const all: readonly RateRun[] = runs[name];
      const failed = all.reduce((sum, { lost, refused }) => sum + lost + refused, 0);
      return [
        workload,
        name,
        range(each(all, ({ perSecond }) => perSecond)),
        range(
          each(all, ({ cpuMicroseconds }) => cpuMicroseconds),
          1,
        ),
        range(
          each(all, ({ utilization }) => utilization),
          2,
        ),
        isPostern(name) ? range(ratio(all, runs.coturn), 2) : "",
        String(failed),
      ];
    }),
  );
  return markdown(
    ["request", "server", "per second", "CPU µs each", "of a core", "Postern/coturn", "lost or refused"],
    rows,
  );
}

function memoryTable(results: readonly MemoryResult[]): string {
  const rows = results.map(({ server, allocations, idleKilobytes, heldKilobytes }) => [
    server,
    number(idleKilobytes / 1024, 1),
    number(allocations),
    number(heldKilobytes / 1024, 1),
    number((heldKilobytes - idleKilobytes) / allocations, 2),
  ]);
  return markdown(["server", "idle MB", "allocations", "MB with them", "KB each"], rows);
}

export function formatReport(report: Report): string {
  const machine = Object.entries(report.machine).map(([what, value]) => `${what} ${value}`);
  const pace = `${number(report.pacedRate)} packets/s, evenly spaced`;
  const parts = [
    `${report.when.slice(0, 10)}: ${machine.join("; ")}. Medians of ${report.rounds} rounds of ${report.secondsPerRun} s (least-most).`,
  ];
  if (report.relaying.length > 0) {
    parts.push("### Relaying, saturated", saturatedTable(report.relaying));
    parts.push(`### Relaying at ${pace}`, pacedTable(report.relaying));
  }
  if (report.requesting.length > 0) parts.push("### Requests", rateTable(report.requesting));
  if (report.memory.length > 0) parts.push("### Memory", memoryTable(report.memory));
  return parts.join("\n\n");
}
