/** RFC 3261 §16.7: whatever three phones do, the caller gets one end of its call, and nothing is left of it. */
import { suite, test } from "node:test";
import { playFork } from "./random-forks.ts";

const RUNS = 500;
const GROUP = 50;

suite("RFC 3261 §16.7: three phones that do anything at any time", () => {
  for (let first = 1; first <= RUNS; first += GROUP) {
    test(`seeds ${first} to ${first + GROUP - 1}`, () => {
      for (let seed = first; seed < first + GROUP; seed++) run(seed);
    });
  }
});

function run(seed: number): void {
  try {
    playFork(seed);
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
}
