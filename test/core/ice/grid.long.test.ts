/** 10,000 seeds, spread over the cells of the grid. More: `npm run grid -- --seeds N`. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { requireLong } from "../../support/peers.ts";
import { cells } from "./grid.ts";
import { runSeed } from "./grid-seeds.ts";

const SEEDS = 10_000;
const EACH = 1_000;

suite("the path that the oracle derives is found in every weather", { skip: requireLong(3) }, () => {
  const all = cells();
  for (let first = 1; first <= SEEDS; first += EACH) {
    test(`seeds ${first} to ${first + EACH - 1}`, () => {
      const troubles: string[] = [];
      for (let seed = first; seed < first + EACH; seed++) {
        const { trouble } = runSeed(all[seed % all.length] as (typeof all)[number], seed);
        if (trouble !== undefined) troubles.push(trouble);
      }
      assert.deepEqual(troubles, []);
    });
  }
});
