/**
 * What `npm test` runs: every `test/**\/*.test.ts` on Node's own runner, two files at a time.
 *
 *   npm test                     everything, with coverage and its floors
 *   npm test -- turn codec       the files whose path contains one of the words; no coverage
 *   npm test -- turn -t 437      of those, the tests whose title matches
 *   npm test -- --no-coverage    everything, without coverage
 *
 * Files `*.long.test.ts` wait for real time, and use little else: they start first, all at once, beside the others, and
 * are reported behind them. Files `*.thorough.test.ts` compute for minutes, and run when the others are through. Most tests
 * of both run with POSTERN_LONG=1, and are skipped without. They count for no coverage, which slows down what computes.
 *
 * Everything ends. A test has three minutes unless it says otherwise, a file's process twelve, those of files that take their
 * time (`long`, `thorough`, `stress`) as long as the run, and the run has 60: `--limits 3,12,60` says so in other words.
 * What is overdue is killed and named, with what it was doing.
 *
 * The last line is always `N passed, N failed, N skipped`. A test that needs a peer or a privilege which is missing is
 * skipped with its reason, or fails when POSTERN_PEERS=required.
 */
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { RunningTests } from "./running-tests.ts";
import { helpIfAsked } from "./usage.ts";

helpIfAsked(import.meta.filename);

/** The least that is covered when everything runs, in percent; an area without files yet is not asked for. */
const floors: readonly { area: string; lines: number; branches: number }[] = [
  { area: "src/core/turn/server", lines: 95, branches: 95 },
  { area: "src/core", lines: 95, branches: 90 },
  { area: "src", lines: 85, branches: 80 },
];
const { values: flags, positionals: words } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    coverage: { type: "boolean" },
    title: { type: "string", short: "t", multiple: true },
    /** Minutes: of a test, of a file, of the run. */
    limits: { type: "string", default: "3,12,60" },
    /** The directory that holds `test/`. */
    root: { type: "string", default: join(import.meta.dirname, "..") },
  },
});
const root = resolve(flags.root);
const [testMs = 0, fileMs = 0, runMs = 0] = flags.limits.split(",").map((minutes) => Number(minutes) * 60_000);
const whole = words.length === 0 && flags.title === undefined;
const coverage = flags.coverage ?? whole;
const files = globSync("test/**/*.test.ts", { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const [long, thorough] = [files.filter(isLong), files.filter(isThorough)];
const short = files.filter((file) => !isLong(file) && !isThorough(file));

type Covered = {
  path: string;
  totalLineCount: number;
  coveredLineCount: number;
  totalBranchCount: number;
  coveredBranchCount: number;
};

interface Reported {
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details: { readonly type?: string };
}

const skips = new Map<string, number>();
const counts = { passed: 0, failed: 0, skipped: 0 };
let covered: readonly Covered[] = [];

const running = new RunningTests();
const end = new AbortController();
const overdue = setTimeout(() => {
  running.killAll(`was running when the run's ${runMs / 60_000} minutes were over`);
  // The runner starts no other file, and reports those that are left as failed.
  end.abort();
  // Whatever else may keep it.
  setTimeout(close, 10_000).unref();
}, runMs);

// An empty variable, because a child of the runner inherits one that is not there.
const env = { ...process.env, NODE_V8_COVERAGE: "" };
const held: string[] = [];
const waiting = runFiles(long, (text) => held.push(text), { env, concurrency: Math.max(1, long.length) });
const write = (text: string) => process.stdout.write(text);
const concurrency = Math.min(2, availableParallelism());
await runFiles(short, write, {
  concurrency,
  coverage,
  coverageIncludeGlobs: ["src/**/*.ts"],
});
await runFiles(thorough, write, { env, concurrency });
await waiting;
process.stdout.write(held.join(""));
clearTimeout(overdue);
close();

/** Says what came of it all, and ends. */
function close(): never {
  let failed = counts.failed;
  if (files.length === 0) {
    console.log(`No test file's path contains ${words.join(" or ")}.`);
    for (const word of words) for (const near of nearest(word)) console.log(`  near ${word}: ${near}`);
    failed++;
  }
  if (skips.size > 0) {
    console.log("\nSkipped, because:");
    for (const [reason, times] of skips) console.log(`  ${String(times).padStart(4)}  ${reason}`);
  }
  if (coverage && !end.signal.aborted) failed += reportCoverage();
  if (whole) reportTimes();
  for (const line of running.killed) console.log(`Killed: ${relative(root, line)}`);
  failed = Math.max(failed, running.killed.length);
  console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped`);
  // What was killed may have left somebody who holds on to this process's ears.
  process.exit(failed > 0 ? 1 : 0);
}

/** Test files that share most with `word`, three letters at a time: five at most. */
function nearest(word: string): string[] {
  const parts = Array.from({ length: Math.max(0, word.length - 2) }, (_, i) => word.slice(i, i + 3));
  const shared = (file: string) => parts.filter((part) => file.includes(part)).length;
  const all = globSync("test/**/*.test.ts", { cwd: root }).sort();
  const most = Math.max(...all.map(shared));
  return most <= 0 ? [] : all.filter((file) => shared(file) === most).slice(0, 5);
}

/** Runs `paths`, and hands what is reported of them to `write`. */
async function runFiles(
  paths: readonly string[],
  write: (text: string) => void,
  options: NonNullable<Parameters<typeof run>[0]>,
): Promise<void> {
  // Without files the runner would look for some by itself.
  if (paths.length === 0) return;
  const slow = paths.every(isPatient);
  const tests = run({
    cwd: root,
    signal: end.signal,
    timeout: slow ? runMs : testMs,
    files: paths.map((file) => join(root, file)),
    ...(flags.title === undefined ? {} : { testNamePatterns: flags.title.map((title) => new RegExp(title)) }),
    ...options,
  });
  tests.on("test:pass", (reported) => note(reported, true));
  tests.on("test:fail", (reported) => note(reported, false));
  tests.on("test:coverage", ({ summary }) => {
    covered = summary.files;
  });
  running.follow(tests, slow ? runMs : fileMs);
  await pipeline(tests, new spec(), async (lines: AsyncIterable<string | Buffer>) => {
    for await (const line of lines) write(`${line}`);
  });
}

function isLong(file: string): boolean {
  return file.endsWith(".long.test.ts");
}

function isThorough(file: string): boolean {
  return file.endsWith(".thorough.test.ts");
}

function isPatient(file: string): boolean {
  return isLong(file) || isThorough(file) || file.endsWith(".stress.test.ts");
}

/** Suites only hold tests. A file that fails beside its tests is reported as one. */
function note({ skip, todo, details }: Reported, passed: boolean): void {
  if (details.type === "suite") return;
  const left = skip !== undefined || todo !== undefined;
  counts[left ? "skipped" : passed ? "passed" : "failed"]++;
  const reason = typeof todo === "string" ? `to do: ${todo}` : skip;
  if (typeof reason === "string" && reason !== "") skips.set(reason, (skips.get(reason) ?? 0) + 1);
}

function reportTimes(): void {
  console.log("\nThe slowest files, in seconds:");
  for (const { file, ms } of running.times().slice(0, 10)) {
    console.log(`  ${(ms / 1_000).toFixed(0).padStart(5)}  ${relative(root, file)}`);
  }
}

/** Prints what each area reached; returns how many floors were missed. */
function reportCoverage(): number {
  let missed = 0;
  console.log("\nCoverage:");
  for (const floor of floors) {
    const inside = covered.filter(({ path }) => relative(root, path).startsWith(`${floor.area}/`));
    if (inside.length === 0) continue;
    const lines = percent(inside, "coveredLineCount", "totalLineCount");
    const branches = percent(inside, "coveredBranchCount", "totalBranchCount");
    const low = lines < floor.lines || branches < floor.branches;
    if (low && whole) missed++;
    console.log(
      `  ${floor.area}: lines ${lines.toFixed(1)} % (floor ${floor.lines}), branches ${branches.toFixed(1)} % ` +
        `(floor ${floor.branches})${low ? "  TOO LOW" : ""}`,
    );
  }
  return missed;
}

function percent(files: readonly Covered[], part: keyof Covered, all: keyof Covered): number {
  let [have, of] = [0, 0];
  for (const file of files) {
    have += file[part] as number;
    of += file[all] as number;
  }
  return of === 0 ? 100 : (100 * have) / of;
}
