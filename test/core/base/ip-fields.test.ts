import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DONT_FRAGMENT,
  hopLimitOf,
  ipFieldsOf,
  mustNotFragment,
  NO_FIELDS,
  onward,
  SPENT,
  trafficClassOf,
} from "../../../src/core/base/ip-fields.ts";

test("what goes on has one hop less, and nothing else is changed", () => {
  for (const trafficClass of [0, 1, 0xb8, 0xff]) {
    for (const hops of [2, 64, 255]) {
      for (const df of [0, DONT_FRAGMENT]) {
        const next = onward(ipFieldsOf(trafficClass, hops) | df);
        assert.deepEqual([trafficClassOf(next), hopLimitOf(next)], [trafficClass, hops - 1]);
        assert.equal(mustNotFragment(next), df !== 0);
      }
    }
  }
});

test("the last hop is spent, and hops that nobody knows are not counted", () => {
  assert.equal(onward(ipFieldsOf(0xb8, 1)), SPENT);
  assert.equal(onward(ipFieldsOf(0xb8, 0)), ipFieldsOf(0xb8, 0));
  assert.equal(onward(NO_FIELDS), NO_FIELDS);
});
