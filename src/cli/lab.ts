/** `postern lab`: calls through real NATs and firewalls, in networks that are made for it and gone afterwards. */
import { open, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Command } from "commander";
import { PosternError } from "../core/base/failure.ts";
import type { Trial } from "../lab/run-all.ts";
import type { Result, Scenario } from "../lab/scenario.ts";

interface LabFlags {
  readonly list?: boolean;
  readonly roundTrip: readonly number[];
  readonly report?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Scenarios wait more than they work. */
const perProcessor = 3;
const endedBySignal: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

export function addLabCommand(program: Command): void {
  program
    .command("lab")
    .description("try calls through real NATs and firewalls, in network namespaces (Linux, root)")
    .argument("[NAME...]", "the scenarios, by name or by a part of it; all of them when none is given")
    .option("--list", "list the scenarios and exit")
    .option("--round-trip <MS,...>", "milliseconds between two places on the internet", parseRoundTrips, [0])
    .option("--report <FILE>", "write an HTML report with a picture of each scenario")
    .option("--json", "print JSON")
    .option("--verbose", "show the picture of each scenario; the default when one is named")
    .addHelpText("after", "\nExit status: 0 everything was as expected, 1 it was not, or the lab cannot run here.")
    .action(lab);
}

function parseRoundTrips(text: string): number[] {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.every((part) => /^\d+(\.\d+)?$/.test(part) && Number(part) <= 2_000))
    return [...new Set(parts.map(Number))];
  throw new PosternError(
    "bad-round-trip",
    `--round-trip is milliseconds from 0 to 2000, such as 0,50,150: not ${text}`,
  );
}

async function lab(names: readonly string[], flags: LabFlags): Promise<void> {
  const { findScenarios } = await import("../lab/scenarios/find.ts");
  const scenarios = findScenarios(names);
  if (flags.list === true) return list(scenarios);
  const [{ searchPath }, { requireTools }] = await Promise.all([
    import("../lab/program.ts"),
    import("../lab/tools.ts"),
  ]);
  requireTools({ platform: process.platform, uid: process.getuid?.(), path: searchPath });
  if (flags.report !== undefined) await requireWritable(flags.report);
  const results = await run(scenarios, flags.roundTrip);
  if (results === undefined) return;
  await show(results, flags);
  if (flags.report !== undefined) await writeReport(results, flags.report);
  process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
}

/** Told before all the waiting. What stands in the file stays until there is something better. */
async function requireWritable(report: string): Promise<void> {
  const file = await open(report, "a").catch(refuseReport);
  await file.close();
}

function refuseReport(cause: Error): never {
  throw new PosternError("unwritable", `The report cannot be written: ${cause.message}`, { cause });
}

function list(scenarios: readonly Scenario[]): void {
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  for (const { name, title } of scenarios) console.log(`${name.padEnd(width)}  ${title}`);
}

/** Undefined: a signal asked for the end, and everything is gone. */
async function run(scenarios: readonly Scenario[], roundTrips: readonly number[]): Promise<Result[] | undefined> {
  const { runAll, trialsOf } = await import("../lab/run-all.ts");
  const trials = trialsOf(scenarios, roundTrips);
  const progress = new Progress(trials.length);
  const end = new AbortController();
  for (const [signal, status] of Object.entries(endedBySignal)) {
    process.on(signal, () => {
      // Asked twice we go at once: the kernel ends what we started.
      if (end.signal.aborted) process.exit(status);
      process.exitCode = status;
      end.abort();
    });
  }
  try {
    return await runAll(trials, {
      postern: [process.execPath, process.argv[1] as string],
      atOnce: perProcessor * availableParallelism(),
      signal: end.signal,
      onStart: (trial) => progress.start(trial),
      onResult: (result) => progress.finish(result),
    });
  } catch (error) {
    if (!end.signal.aborted) throw error;
    return undefined;
  } finally {
    progress.clear();
  }
}

async function writeReport(results: readonly Result[], file: string): Promise<void> {
  const { reportHtml } = await import("../lab/report/html.ts");
  await writeFile(file, reportHtml(results)).catch(refuseReport);
}

async function show(results: readonly Result[], { json, verbose }: LabFlags): Promise<void> {
  const { drawText, tableText } = await import("../lab/report/text.ts");
  if (json === true) return console.log(JSON.stringify(results.map(plain), undefined, 2));
  const isOne = new Set(results.map(({ scenario }) => scenario)).size === 1;
  if (verbose === true || isOne) for (const result of results) console.log(`${picture(result, drawText).join("\n")}\n`);
  console.log(tableText(results).join("\n"));
}

function picture(result: Result, draw: (result: Result) => string[]): string[] {
  const { scenario, roundTrip, outcome, why, figures = {}, screen } = result;
  return [
    `${scenario.name}, round trip ${roundTrip} ms`,
    scenario.title,
    "",
    ...draw(result),
    "",
    `${outcome}: ${why}`,
    ...Object.entries(figures).map(([name, value]) => `  ${name}: ${value}`),
    ...(screen === undefined ? [] : ["", "$ postern check", ...screen.trimEnd().split("\n")]),
  ];
}

/** What a program may want of a result. */
function plain({ scenario: { name, title, expected }, passages, ...rest }: Result): object {
  return { name, title, expected, ...rest, passages: Object.fromEntries(passages) };
}

/** A line for each result as it comes, and on a terminal one more that says what runs. */
class Progress {
  readonly #running: Set<string> = new Set();
  readonly #all: number;
  #done = 0;

  constructor(all: number) {
    this.#all = all;
  }

  start(trial: Trial): void {
    this.#running.add(nameOf(trial));
    this.#draw();
  }

  finish(result: Result): void {
    this.#done++;
    this.#running.delete(nameOf(result));
    this.clear();
    process.stderr.write(
      `${result.passed ? "ok    " : "NOT OK"}  ${nameOf(result)}: ${result.outcome}, ${result.why}\n`,
    );
    this.#draw();
  }

  clear(): void {
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  }

  #draw(): void {
    if (!process.stderr.isTTY || this.#running.size === 0) return;
    this.clear();
    const text = `${this.#done} of ${this.#all}; running ${[...this.#running].join(", ")}`;
    process.stderr.write(text.slice(0, (process.stderr.columns || 80) - 1));
  }
}

function nameOf({ scenario, roundTrip }: Trial): string {
  return `${scenario.name} (${roundTrip} ms)`;
}
