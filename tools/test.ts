/**
 * What `npm test` runs: every `test/**\/*.test.ts` on Node's own runner, two files at a time.
 *
 *   npm test                     everything, with coverage and its floors
 *   npm test -- turn codec       the files whose path contains one of the words; no coverage
 *   npm test -- turn -t 437      of those, the tests whose title matches
 *   npm test -- --no-coverage    everything, without coverage
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

type Covered = {
  path: string;
  totalLineCount: number;
  coveredLineCount: number;
  totalBranchCount: number;
  coveredBranchCount: number;
};

let counts = { tests: 0, passed: 0, skipped: 0, todo: 0 };
let covered: readonly Covered[] = [];
const skips = new Map<string, number>();

const tests = run({
  cwd: root,
  files: files.map((file) => join(root, file)),
  concurrency: Math.min(2, availableParallelism()),
  timeout: fileTimeoutMs,
  ...(flags.title === undefined ? {} : { testNamePatterns: flags.title.map((title) => new RegExp(title)) }),
  coverage,
  coverageIncludeGlobs: ["src/**/*.ts"],
});
function note({ skip, todo }: { skip?: string | boolean; todo?: string | boolean }): void {
  const reason = typeof todo === "string" ? `to do: ${todo}` : skip;
  if (typeof reason === "string" && reason !== "") skips.set(reason, (skips.get(reason) ?? 0) + 1);
}
tests.on("test:pass", note);
tests.on("test:fail", note);
tests.on("test:coverage", ({ summary }) => {
  covered = summary.files;
});
tests.on("test:summary", (summary) => {
  if (summary.file === undefined) counts = summary.counts;
});
await pipeline(tests, new spec(), async (lines: AsyncIterable<string | Buffer>) => {
  for await (const line of lines) process.stdout.write(line);
});

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
