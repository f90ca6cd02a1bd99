/** How long users' keys are known without asking. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserKeys } from "../../src/core/turn/server/outputs.ts";
import { KeyCache } from "../../src/node/key-cache.ts";
import { until } from "../support/until.ts";

const keys: UserKeys = { username: "alice", md5: new Uint8Array(16), sha256: new Uint8Array(32) };
const { signal } = new AbortController();

/** Counts how often it is asked. */
function asked(freshMs?: number) {
  const found = { times: 0, find: () => cache.find({ username: "alice" }, "example.org", signal) };
  const cache = new KeyCache(() => {
    found.times++;
    return keys;
  }, freshMs);
  return found;
}

test("who was asked for a moment ago is known", () => {
  const one = asked();
  assert.equal(one.find(), keys);
  assert.equal(one.find(), keys);
  assert.equal(one.times, 1);
});

test("but not for long: what nobody has told of is found out all the same", async () => {
  const one = asked(1);
  one.find();
  await until("it to be asked again", () => {
    one.find();
    return one.times > 1;
  });
});
