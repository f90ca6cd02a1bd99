/** When a worker hangs, as seen by the main thread: by its looks, not by seconds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPulse, Pulse, PulseWatch } from "../../../src/node/shard/pulse.ts";

const looks = 5;

function watched() {
  const word = createPulse();
  return { pulse: new Pulse(word), watch: new PulseWatch(word, looks) };
}

function looksAt(watch: PulseWatch, times: number): boolean[] {
  return Array.from({ length: times }, () => watch.look());
}

test("who has not begun, and who waits, does not hang, however long", () => {
  const { pulse, watch } = watched();
  assert.ok(!looksAt(watch, 100).includes(true));
  pulse.beat();
  assert.equal(watch.look(), false);
  pulse.rest();
  assert.ok(!looksAt(watch, 100).includes(true));
});

test("who takes turns does not hang", () => {
  const { pulse, watch } = watched();
  for (let i = 0; i < 100; i++) {
    pulse.rest();
    pulse.beat();
    assert.equal(watch.look(), false);
  }
});

test("a turn that is the same in so many looks after the first is one without end", () => {
  const { pulse, watch } = watched();
  pulse.beat();
  assert.deepEqual(looksAt(watch, looks + 1), [false, false, false, false, false, true]);
});

test("what was long and has ended is forgotten", () => {
  const { pulse, watch } = watched();
  for (let i = 0; i < 20; i++) {
    pulse.beat();
    assert.ok(!looksAt(watch, looks).includes(true));
    // Between two looks it has waited, and is at work again.
    pulse.rest();
  }
});
