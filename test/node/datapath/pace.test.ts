import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "../../../src/node/datapath/pace.ts";

/** Looks every `every` ms, for 20 ms, each finding as many as come at `perMs`; says whether the last one waits. */
function waits(pace: Pace, perMs: number, every: number, from = 0): boolean {
  let isWaiting = false;
  for (let now = from + every; now <= from + 20; now += every) isWaiting = pace.handleLook(perMs * every, now);
  return isWaiting;
}

test("packets wait when two or more are expected within the bound, and not when one is", () => {
  assert.equal(waits(new Pace(250), 20, 0.05), true, "20,000 a second");
  assert.equal(waits(new Pace(250), 4, 0.25), false, "4,000 a second");
  assert.equal(waits(new Pace(1_000), 4, 0.25), true, "4,000 a second, which may wait longer");
});

test("packets do not wait when they come in large batches anyhow", () => {
  assert.equal(waits(new Pace(250), 100, 0.25), false);
  const pace = new Pace(250);
  waits(pace, 20, 0.05);
  assert.equal(pace.handleLook(64, 20.1), false, "one large batch in between");
});

test("waiting ends when less comes, but not for a little less", () => {
  const pace = new Pace(250);
  assert.equal(waits(pace, 9, 0.05), true);
  assert.equal(waits(pace, 7, 0.25, 20), true);
  assert.equal(waits(pace, 5, 0.25, 40), false);
  assert.equal(waits(pace, 7, 0.25, 60), false);
});

test("with a bound of zero nothing ever waits", () => assert.equal(waits(new Pace(0), 20, 0.05), false));
