/**
 * The long run: `npm run fuzz -- [--inputs 10000000] [--seed N] [--target stun]...`
 *
 * The seed is printed, and repeats the run. With `--steps` it counts the work of that many inputs instead.
 */
import { parseArgs } from "node:util";
import { helpIfAsked } from "../../tools/usage.ts";
import { SeededRandom } from "../support/crypto.ts";
import { boundedWork, StepCounter } from "./steps.ts";
import { fuzz, replay } from "./target.ts";
import { targets } from "./targets.ts";
import { boundedTurnWork, fuzzTurnServer } from "./turn-server.ts";

helpIfAsked(import.meta.filename);

const { values: flags } = parseArgs({
  options: {
    inputs: { type: "string", default: "10000000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    target: { type: "string", multiple: true },
    steps: { type: "string" },
  },
});
const seed = Number(flags.seed);
const isChosen = (name: string): boolean => flags.target?.includes(name) ?? true;
const chosen = targets.filter(({ name }) => isChosen(name));
if (chosen.length === 0 && !isChosen("turn-server")) {
  throw new Error(`--target is one of ${targets.map(({ name }) => name).join(", ")}, turn-server`);
}
console.log(`seed ${seed}`);

if (flags.steps === undefined) {
  for (const target of chosen) {
    const kept = replay(target);
    const start = performance.now();
    const { inputs, accepted, heapGrowth, slowestMs } = await fuzz(
      target,
      Number(flags.inputs) / (target.oneIn ?? 1),
      seed,
    );
    const seconds = (performance.now() - start) / 1000;
    console.log(
      `${target.name}: ${kept} kept and ${inputs} new inputs, ${accepted} accepted, heap ${(heapGrowth / 1024).toFixed(0)} KB, ` +
        `slowest ${slowestMs.toFixed(1)} ms, ${seconds.toFixed(0)} s`,
    );
  }
  if (isChosen("turn-server")) {
    const start = performance.now();
    const { inputs, accepted, heapGrowth, slowestMs, codes } = await fuzzTurnServer(Number(flags.inputs), seed);
    const seconds = (performance.now() - start) / 1000;
    console.log(
      `turn-server: ${inputs} inputs in ${accepted} sequences, heap ${(heapGrowth / 1024).toFixed(0)} KB, ` +
        `slowest ${slowestMs.toFixed(1)} ms, ${seconds.toFixed(0)} s, answers ${codes.join(" ")}`,
    );
  }
} else {
  const counter = new StepCounter();
  for (const target of chosen) {
    const { inputs, mostPerByte } = boundedWork(counter, target, Number(flags.steps), new SeededRandom(seed));
    console.log(`${target.name}: ${inputs} inputs, at most ${mostPerByte.toFixed(1)} steps a byte`);
  }
  if (isChosen("turn-server")) {
    const most = boundedTurnWork(counter, Number(flags.steps), seed);
    console.log(`turn-server: ${flags.steps} inputs, at most ${most} steps each`);
  }
}
