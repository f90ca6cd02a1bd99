/**
 * What `npm test` runs: every `test/**\/*.test.ts` on Node's own runner, two files at a time.
 *
 *   npm test                     everything, with coverage and its floors
 *   npm test -- turn codec       the files whose path contains one of the words; no coverage
 *   npm test -- turn -t 437      of those, the tests whose title matches
 *   npm test -- --no-coverage    everything, without coverage
 *
 * Files `*.long.test.ts` wait for real time, and use little else: they start first, all at once, beside the others, and
 * are reported behind them. Their tests run with POSTERN_LONG=1, and are skipped without. They count for no coverage.
 *
 * The last line is always `N passed, N failed, N skipped`. A test that needs a peer or a privilege which is missing is
 * skipped with its reason, or fails when POSTERN_PEERS=required.
 */
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";

/** The least that is covered when everything runs, in percent; an area without files yet is not asked for. */
const floors: readonly { area: string; lines: number; branches: number }[] = [
  { area: "src/core/turn/server", lines: 95, branches: 95 },
  { area: "src/core", lines: 95, branches: 90 },
  { area: "src", lines: 85, branches: 80 },
];
const fileTimeoutMs = 10 * 60_000;
const longFileTimeoutMs = 20 * 60_000;

const root = join(import.meta.dirname, "..");
const { values: flags, positionals: words } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: { coverage: { type: "boolean" }, title: { type: "string", short: "t", multiple: true } },
});
const whole = words.length === 0 && flags.title === undefined;
const coverage = flags.coverage ?? whole;
const files = globSync("test/**/*.test.ts", { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const [short, long] = [files.filter((file) => !isLong(file)), files.filter(isLong)];

type Covered = {
  path: string;
  totalLineCount: number;
  coveredLineCount: number;
  totalBranchCount: number;
  coveredBranchCount: number;
};

interface Outcome {
  readonly counts: { tests: number; passed: number; skipped: number; todo: number };
  readonly covered: readonly Covered[];
}

const skips = new Map<string, number>();
const nothing: Outcome = { counts: { tests: 0, passed: 0, skipped: 0, todo: 0 }, covered: [] };

// An empty variable, because a child of the runner inherits one that is not there.
const env = { ...process.env, NODE_V8_COVERAGE: "" };
const held: string[] = [];
const waiting = runFiles(long, (text) => held.push(text), {
  env,
  concurrency: Math.max(1, long.length),
  timeout: longFileTimeoutMs,
});
const { counts, covered } = await runFiles(short, (text) => process.stdout.write(text), {
  concurrency: Math.min(2, availableParallelism()),
  timeout: fileTimeoutMs,
  coverage,
  coverageIncludeGlobs: ["src/**/*.ts"],
});
const { counts: longCounts } = await waiting;
process.stdout.write(held.join(""));
for (const kind of ["tests", "passed", "skipped", "todo"] as const) counts[kind] += longCounts[kind];

let failed = counts.tests - counts.passed - counts.skipped - counts.todo;
if (files.length === 0) {
  console.log(`No test file's path contains ${words.join(" or ")}.`);
  failed++;
}
if (skips.size > 0) {
  console.log("\nSkipped, because:");
  for (const [reason, times] of skips) console.log(`  ${String(times).padStart(4)}  ${reason}`);
}
if (coverage) failed += reportCoverage();
console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped + counts.todo} skipped`);
process.exitCode = failed > 0 ? 1 : 0;

/** Runs `paths`, and hands what is reported of them to `write`. */
async function runFiles(
  paths: readonly string[],
  write: (text: string) => void,
  options: NonNullable<Parameters<typeof run>[0]>,
): Promise<Outcome> {
  // Without files the runner would look for some by itself.
  if (paths.length === 0) return structuredClone(nothing);
  let outcome = nothing;
  const tests = run({
    cwd: root,
    files: paths.map((file) => join(root, file)),
    ...(flags.title === undefined ? {} : { testNamePatterns: flags.title.map((title) => new RegExp(title)) }),
    ...options,
  });
  tests.on("test:pass", note);
  tests.on("test:fail", note);
  tests.on("test:coverage", ({ summary }) => {
    outcome = { ...outcome, covered: summary.files };
  });
  tests.on("test:summary", (summary) => {
    if (summary.file === undefined) outcome = { ...outcome, counts: summary.counts };
  });
  await pipeline(tests, new spec(), async (lines: AsyncIterable<string | Buffer>) => {
    for await (const line of lines) write(`${line}`);
  });
  return outcome;
}

function isLong(file: string): boolean {
  return file.endsWith(".long.test.ts");
}

function note({ skip, todo }: { skip?: string | boolean; todo?: string | boolean }): void {
  const reason = typeof todo === "string" ? `to do: ${todo}` : skip;
  if (typeof reason === "string" && reason !== "") skips.set(reason, (skips.get(reason) ?? 0) + 1);
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
