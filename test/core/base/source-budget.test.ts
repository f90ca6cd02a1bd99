import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ipv4, parseIp } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { SOURCE_SLOTS, SourceBudget } from "../../../src/core/base/source-budget.ts";

const at = (ms: number) => ms as Instant;
const [one, other] = [ipv4(0x05060708, 1), ipv4(0x05060709, 1)];

/** How many of so many are within the budget. */
function taken(budget: SourceBudget, now: number, tries = 1_000, from = one): number {
  let count = 0;
  for (let i = 0; i < tries; i++) if (budget.take(from, at(now))) count++;
  return count;
}

describe("what one source may ask", () => {
  test("a burst of twice the rate, and then the rate; others have their own", () => {
    const budget = new SourceBudget(10, 7);
    assert.equal(taken(budget, 1_000), 20);
    assert.equal(taken(budget, 1_000, 3, other), 3);
    assert.equal(taken(budget, 1_500), 5);
    assert.equal(taken(budget, 1_599), 0);
    assert.equal(taken(budget, 1_600), 1);
    assert.equal(taken(budget, 60_000), 20);
  });

  test("the rate is kept over a long time, whatever it is", () => {
    for (const perSecond of [3, 7, 333, 4_999]) {
      const budget = new SourceBudget(perSecond, 7);
      let count = taken(budget, 0, 100_000);
      assert.equal(count, 2 * perSecond);
      for (let ms = 1; ms <= 10_000; ms++) count += taken(budget, ms, 10);
      assert.ok(Math.abs(count - 12 * perSecond) <= 1, `${count} at ${perSecond}`);
    }
  });

  test("a million a second, and one a minute", () => {
    const fast = new SourceBudget(1e6, 7);
    assert.equal(taken(fast, 10, 3_000_000), 2_000_000);
    assert.equal(taken(fast, 11, 3_000), 1_000);
    const slow = new SourceBudget(1 / 60, 7, 30);
    assert.equal(taken(slow, 10), 30);
    assert.equal(taken(slow, 59_000), 0);
    assert.equal(taken(slow, 61_000), 1);
  });

  test("`has` takes nothing, and what is asked about is counted apart", () => {
    const budget = new SourceBudget(1, 7);
    assert.equal(budget.has(one, at(0)), true);
    assert.equal(taken(budget, 0), 2);
    assert.equal(budget.has(one, at(0)), false);
    assert.equal(budget.has(one, at(0), "alice"), true);
    assert.equal(budget.has(one, at(1_000)), true);
  });

  test("an IPv6 /56 is one source", () => {
    const budget = new SourceBudget(1, 7);
    const [first, second, third] = ["2001:db8:0:100::1", "2001:db8:0:1ff::2", "2001:db8:0:200::1"];
    assert.equal(taken(budget, 0, 9, parseIp(first!)!), 2);
    assert.equal(taken(budget, 0, 9, parseIp(second!)!), 0);
    assert.equal(taken(budget, 0, 9, parseIp(third!)!), 2);
  });

  test("at no time is somebody refused who has never asked", () => {
    // Once around what a slot can hold, and a bit more: 2²⁸ tokens' time.
    const budget = new SourceBudget(1_000, 7);
    const around = 2 ** 28;
    for (let ms = around - 5_000; ms < around + 5_000; ms += 50) {
      assert.equal(budget.has(other, at(ms)), true, `at ${ms}`);
    }
    assert.equal(taken(budget, around, 3_000), 2_000);
    assert.equal(taken(budget, around + 1, 3_000), 1);
  });

  for (const memory of [ArrayBuffer, SharedArrayBuffer]) {
    test(`several with one table have one budget: ${memory.name}`, () => {
      const slots = new Int32Array(new memory(4 * SOURCE_SLOTS));
      const [first, second] = [0, 1].map(() => new SourceBudget(10, 7, undefined, slots));
      assert.equal(taken(first!, 5_000, 12), 12);
      assert.equal(taken(second!, 5_000), 8);
      // It has not looked at its clock for a while.
      assert.equal(taken(first!, 4_800), 0);
      assert.equal(taken(second!, 5_100), 1);
      assert.equal(taken(first!, 5_200), 1);
    });
  }
});
