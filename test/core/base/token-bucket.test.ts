import assert from "node:assert/strict";
import { test } from "node:test";
import type { Instant } from "../../../src/core/base/machine.ts";
import { TokenBucket } from "../../../src/core/base/token-bucket.ts";

const size = { rate: 3, burst: 5 };

/** How many tokens are left, one by one. */
function drain(bucket: TokenBucket, now: number): number {
  let taken = 0;
  while (bucket.take(1, now as Instant)) taken++;
  return taken;
}

test("a bucket is full at first, and holds a burst and no more", () => {
  const bucket = new TokenBucket(size, 1_000 as Instant);
  assert.equal(drain(bucket, 1_000), 5);
  assert.equal(drain(bucket, 2_000), 3);
  assert.equal(drain(bucket, 60_000), 5);
});

test("what is too much takes nothing", () => {
  const bucket = new TokenBucket(size, 0 as Instant);
  assert.equal(bucket.take(6, 0 as Instant), false);
  assert.equal(drain(bucket, 0), 5);
});

test("however often it is asked, and at whatever part of a millisecond, it fills at its rate", () => {
  const bucket = new TokenBucket(size, 0.9 as Instant);
  drain(bucket, 0.9);
  let taken = 0;
  for (let now = 1; now <= 100_000.9; now += 0.7) if (bucket.take(1, now as Instant)) taken++;
  assert.ok(taken === 299 || taken === 300, `${taken} in 100 seconds`);
});

test("a clock that stands still, or goes back, gives nothing", () => {
  const bucket = new TokenBucket(size, 5_000 as Instant);
  drain(bucket, 5_000);
  assert.equal(drain(bucket, 4_000), 0);
  assert.equal(drain(bucket, 5_000.5), 0);
  assert.equal(drain(bucket, 5_400), 1);
});

test("what is owed is waited for, and what somebody else knows to be left is what there is", () => {
  const bucket = new TokenBucket(size, 0 as Instant);
  bucket.settle(-5, 0 as Instant);
  assert.equal(drain(bucket, 1_900), 0);
  assert.equal(drain(bucket, 2_001), 1);
  bucket.settle(2, 2_001 as Instant);
  assert.equal(drain(bucket, 2_001), 2);
});
