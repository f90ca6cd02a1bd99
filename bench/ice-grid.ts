/**
 * The grid of ICE in memory: every cell, and as many runs with other seeds as wanted, against the oracle.
 *
 *   npm run grid -- [--seeds N] [--from N] [--family apart] [--loss 0.01] [--delay 25] [--trickle] [--components 2]
 *
 * The flags are of the cells, each of which runs once. A seed takes the next cell, and draws the rest itself: how far all
 * is, what is lost, how NATs assign ports, who begins when. A run that comes out otherwise than the oracle says is printed
 * with its seed, and makes the exit code 1.
 */
import { parseArgs } from "node:util";
import { type Cell, cells, type Outcome, run } from "../test/core/ice/grid.ts";
import { runSeed } from "../test/core/ice/grid-seeds.ts";

const { values: flags } = parseArgs({
  options: {
    seeds: { type: "string", default: "0" },
    from: { type: "string", default: "1" },
    family: { type: "string" },
    loss: { type: "string", default: "0" },
    delay: { type: "string", default: "25" },
    components: { type: "string", default: "1" },
    trickle: { type: "boolean", default: false },
  },
});
const all = cells();
const chosen = all.filter(({ family }) => flags.family === undefined || family === flags.family);
const streams = [Array.from({ length: Number(flags.components) }, (_, n) => n + 1)];
const options = {
  trickle: flags.trickle,
  loss: Number(flags.loss),
  delay: Number(flags.delay),
  config: { streams },
};

const outcomes: { readonly cell: Cell; readonly outcome: Outcome }[] = [];
let failures = 0;

/** What is lost goes by the seed: else all cells would lose the same packets. */
function attempt(cell: Cell, seed: number): void {
  const outcome = run(cell, { ...options, seed });
  outcomes.push({ cell, outcome });
  const isRelayedInVain = cell.expected === "direct" && outcome.relayedMedia > 0 && options.loss === 0;
  if (outcome.found === cell.expected && !isRelayedInVain) return;
  failures++;
  console.log(`${cell.family}, ${cell.name}: ${cell.expected} expected, ${JSON.stringify(outcome)}`);
}

function attemptSeed(seed: number): void {
  const { trouble } = runSeed(all[seed % all.length] as Cell, seed);
  if (trouble === undefined) return;
  failures++;
  console.log(trouble);
}

function quantile(values: readonly number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share));
  return sorted[at] === undefined ? "-" : sorted[at].toFixed();
}

function times(of: readonly (number | undefined)[]): string {
  const known = of.filter((one) => one !== undefined);
  return [0.5, 0.95, 1].map((share) => quantile(known, share).padStart(5)).join(" ");
}

const began = performance.now();
for (const [n, cell] of chosen.entries()) attempt(cell, options.loss > 0 ? n + 1 : 1);
const [first, count] = [Number(flags.from), Number(flags.seeds)];
for (let seed = first; seed < first + count; seed++) attemptSeed(seed);

console.log("milliseconds            runs  direct  relayed | usable: p50   p95   max | nominated: p50   p95   max");
for (const family of [...new Set(chosen.map((cell) => cell.family)), "all"]) {
  const of = outcomes.filter(({ cell }) => family === "all" || cell.family === family);
  const direct = of.filter(({ outcome }) => outcome.found === "direct");
  const relayed = of.filter(({ outcome }) => outcome.found === "relayed");
  const usable = of.filter(({ outcome }) => outcome.usableDirectly).map(({ outcome }) => outcome.usable);
  const nominated = of.map(({ outcome }) => outcome.nominated);
  const counts = [of, direct, relayed].map(({ length }) => String(length).padStart(7)).join(" ");
  console.log(`${family.padEnd(20)} ${counts} |       ${times(usable)} |          ${times(nominated)}`);
}
console.log(
  `${failures} of ${outcomes.length + count} runs came out otherwise, ${((performance.now() - began) / 1000).toFixed()} s`,
);
process.exitCode = failures > 0 ? 1 : 0;
