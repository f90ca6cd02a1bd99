import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import { inspect } from "node:util";
import { nodeCrypto } from "../../src/node/crypto.ts";
import { SeededRandom } from "../support/crypto.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const random = new SeededRandom(7);
/** Around the lengths where blocks and rooms end. */
const lengths = [0, 1, 16, 20, 55, 56, 63, 64, 65, 128, 1500, 2047, 2048, 2049, 65_535];

test("RFC 4231 §4.3, §4.7: HMAC-SHA-256 with a short key, and with one that is longer than a block", () => {
  const jefe = nodeCrypto.importKey(Buffer.from("Jefe"));
  const short = nodeCrypto.hmacSha256(jefe, Buffer.from("what do ya want for nothing?"));
  assert.equal(hex(short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const long = nodeCrypto.importKey(new Uint8Array(131).fill(0xaa));
  const text = Buffer.from("Test Using Larger Than Block-Size Key - Hash Key First");
  assert.equal(
    hex(nodeCrypto.hmacSha256(long, text)),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  );
});

test("RFC 2202 §3: HMAC-SHA-1 with a key that is longer than a block", () => {
  const key = nodeCrypto.importKey(new Uint8Array(80).fill(0xaa));
  const text = Buffer.from("Test Using Larger Than Block-Size Key - Hash Key First");
  assert.equal(hex(nodeCrypto.hmacSha1(key, text)), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
});

test("hashes and HMACs of every length are those of OpenSSL's own HMAC, one key with both algorithms", () => {
  for (const keyLength of [1, 16, 63, 64, 65, 200]) {
    const bytes = random.bytes(keyLength);
    const key = nodeCrypto.importKey(bytes);
    for (const length of lengths) {
      const data = random.bytes(length);
      assert.equal(hex(nodeCrypto.hmacSha1(key, data)), createHmac("sha1", bytes).update(data).digest("hex"));
      assert.equal(hex(nodeCrypto.hmacSha256(key, data)), createHmac("sha256", bytes).update(data).digest("hex"));
      const text = Buffer.from(data).toString("latin1");
      for (const algorithm of ["md5", "sha256"] as const) {
        const expected = createHash(algorithm).update(data).digest("hex");
        assert.equal(hex(nodeCrypto[algorithm](data)), expected);
        assert.equal(nodeCrypto.hashText(algorithm, text), expected);
      }
    }
  }
});

test("an imported key is a copy, and does not show itself", () => {
  const bytes = new Uint8Array(32).fill(9);
  const key = nodeCrypto.importKey(bytes);
  const before = hex(nodeCrypto.hmacSha256(key, new Uint8Array(1)));
  bytes.fill(0);
  assert.equal(hex(nodeCrypto.hmacSha256(key, new Uint8Array(1))), before);
  const second = nodeCrypto.importKey(new Uint8Array(32).fill(9));
  assert.equal(hex(nodeCrypto.hmacSha256(second, new Uint8Array(1))), before);
  assert.equal(inspect(key, { depth: 9, showHidden: true }).includes("9"), false);
});
