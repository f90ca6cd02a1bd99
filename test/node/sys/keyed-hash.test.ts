import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { suite, test } from "node:test";
import { KeyedHash } from "../../../src/node/sys/keyed-hash.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { requireForeign } from "../../support/peers.ts";

const random = new SeededRandom(3);
/** Around where blocks end, and where a message is cut up. */
const lengths = [0, 1, 55, 56, 63, 64, 65, 119, 120, 175, 2047, 2048, 2049, 4096, 5000];

// Whoever uses these functions falls back on Node's own when they are wrong, so only here would it be seen.
suite("HMAC by OpenSSL's own functions", { skip: requireForeign() }, () => {
  for (const algorithm of ["sha1", "sha256"] as const) {
    test(`${algorithm} is that of node:crypto, two keys in turns`, () => {
      const hash = new KeyedHash(algorithm);
      for (const keyLength of [0, 1, 16, 32, 63, 64]) {
        const keys = [random.bytes(keyLength), random.bytes(keyLength)];
        const states = keys.map((key) => hash.prepare(key));
        for (const length of lengths) {
          const data = random.bytes(length);
          for (const [i, key] of keys.entries()) {
            const expected = createHmac(algorithm, key).update(data).digest("hex");
            assert.equal(Buffer.from(hash.sign(states[i] as string, data)).toString("hex"), expected);
          }
        }
      }
    });
  }
});
