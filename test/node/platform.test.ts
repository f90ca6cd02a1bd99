import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { inspect } from "node:util";
import { monotonicNow, wallClock } from "../../src/node/clock.ts";
import { nodeCrypto } from "../../src/node/crypto.ts";
import { FailureLog } from "../../src/node/failure-log.ts";
import { silentLog } from "../../src/node/log.ts";
import { PooledRandom } from "../../src/node/random.ts";
import { Secret } from "../../src/node/secret.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("hashes and HMACs are what they say (RFC 1321 A.5, RFC 2202 §3, RFC 4231 §4.3, FIPS 180-4)", () => {
  const abc = Buffer.from("abc");
  assert.equal(hex(nodeCrypto.md5(abc)), "900150983cd24fb0d6963f7d28e17f72");
  assert.equal(hex(nodeCrypto.sha256(abc)), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const key = nodeCrypto.importKey(Buffer.from("Jefe"));
  const text = Buffer.from("what do ya want for nothing?");
  assert.equal(hex(nodeCrypto.hmacSha1(key, text)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  assert.equal(
    hex(nodeCrypto.hmacSha256(key, text)),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
});

test("a key of no bytes is a key", () => {
  const empty = nodeCrypto.importKey(new Uint8Array(0));
  const data = Buffer.from("data");
  assert.equal(hex(nodeCrypto.hmacSha1(empty, data)), createHmac("sha1", "").update(data).digest("hex"));
});

test("random bytes are as many as asked for, the caller's own, and never the same", () => {
  const random = new PooledRandom();
  const seen = new Set<string>();
  for (let i = 0; i < 2_000; i++) {
    const bytes = random.bytes(12);
    assert.equal(bytes.length, 12);
    assert.equal(bytes.buffer.byteLength, 12);
    seen.add(hex(bytes));
  }
  assert.equal(seen.size, 2_000);
  assert.equal(new Set(random.bytes(10_000)).size, 256);
  assert.equal(random.bytes(0).length, 0);
  assert.equal(random.bytes(4096).length, 4096);
});

test("a secret has no way to text but reveal", () => {
  const secret = new Secret("hunter2");
  assert.equal(secret.reveal(), "hunter2");
  for (const text of [`${secret}`, String(secret), JSON.stringify({ secret }), inspect({ secret })]) {
    assert.ok(text.includes("[secret]") && !text.includes("hunter2"), text);
  }
});

test("clocks have the core's units", () => {
  const before = Math.floor(Date.now() / 1000);
  const now = wallClock.now();
  assert.ok(Number.isInteger(now) && now >= before && now <= Date.now() / 1000);
  assert.ok(Math.abs(monotonicNow() - performance.now()) < 1_000);
});

test("failures are logged once a window, with a count of those before", (context) => {
  let now = 0;
  context.mock.method(performance, "now", () => now);
  const lines: object[] = [];
  const failures = new FailureLog(
    { ...silentLog, error: (fields, event) => lines.push({ ...fields, event }) },
    "broke",
  );
  const error = new Error("x");
  for (let i = 0; i < 5; i++) failures.report(error);
  now = 9_999;
  failures.report(error);
  now = 10_000;
  failures.report(error);
  assert.deepEqual(lines, [
    { err: error, unreported: 0, event: "broke" },
    { err: error, unreported: 5, event: "broke" },
  ]);
  silentLog.warn({}, "nothing");
});
