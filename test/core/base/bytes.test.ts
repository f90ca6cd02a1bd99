import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, equalConstantTime, readU16, readU32, writeU16, writeU32 } from "../../../src/core/base/bytes.ts";
import { randomBelow } from "../../../src/core/base/random.ts";
import { SeededRandom } from "../../support/crypto.ts";

test("integers are read and written in network order, like a DataView's, and touch nothing beside", () => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 12 }), fc.nat(8), word, (bytes, at, value) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      assert.equal(readU16(bytes, at), view.getUint16(at));
      assert.equal(readU32(bytes, at), view.getUint32(at));
      const expected = bytes.slice();
      new DataView(expected.buffer).setUint32(at, value);
      writeU32(bytes, at, value);
      assert.deepEqual(bytes, expected);
      new DataView(expected.buffer).setUint16(at, value);
      writeU16(bytes, at, value & 0xffff);
      assert.deepEqual(bytes, expected);
    }),
  );
});

test("equality sees every byte and the length", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (a, i, flip) => {
        const b = a.slice();
        assert.ok(equalConstantTime(a, b));
        b[i % b.length] = (b[i % b.length] as number) ^ flip;
        assert.ok(!equalConstantTime(a, b));
        assert.ok(!equalConstantTime(a, a.subarray(1)));
      },
    ),
  );
  assert.ok(equalConstantTime(new Uint8Array(0), new Uint8Array(0)));
});

test("equality reads all bytes, wherever the first difference lies", () => {
  let reads = 0;
  const counted = new Proxy(new Uint8Array(32), {
    get: (bytes, key) => {
      if (key === "length") return bytes.length;
      reads++;
      return bytes[Number(key)];
    },
  });
  equalConstantTime(counted, new Uint8Array(32).fill(1));
  assert.equal(reads, 32);
});

test("parts are joined in order", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), (parts) => {
      assert.deepEqual(concatBytes(...parts), new Uint8Array(Buffer.concat(parts)));
    }),
  );
});

test("a random integer is below its bound, and every value comes up about equally often", () => {
  const random = new SeededRandom(1);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 20_000; i++) {
    const n = randomBelow(random, 10);
    counts[n] = (counts[n] as number) + 1;
  }
  assert.equal(counts.length, 10);
  for (const count of counts) assert.ok(count > 1_700 && count < 2_300, String(counts));
});
