/** Sealed frames: what nobody but the two ends reads, changes or invents. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FRAME_BYTES } from "../../../src/core/rendezvous/frames.ts";
import { SEALED_BYTES, Seal } from "../../../src/node/rendezvous/seal.ts";

const secret = randomBytes(10);
const [first, second] = [new Seal(secret, "first"), new Seal(secret, "second")];

describe("sealed frames", () => {
  test("the other end opens what was sealed, however long, and sealing twice looks different", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: FRAME_BYTES }), (frame) => {
        const sealed = first.seal(frame);
        assert.deepEqual(new Uint8Array(second.open(sealed)!), frame);
        assert.notDeepEqual(sealed, first.seal(frame));
        assert.ok(!Buffer.from(sealed).includes(Buffer.from(frame)) || frame.length < 4);
      }),
    );
  });

  test("a changed bit, another length, another secret, or our own come back: nothing", () => {
    const sealed = first.seal(randomBytes(200));
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const changed = Uint8Array.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(second.open(changed), undefined, `bit ${bit}`);
    }
    for (let length = 0; length < sealed.length; length++)
      assert.equal(second.open(sealed.subarray(0, length)), undefined);
    assert.equal(second.open(new Uint8Array(SEALED_BYTES + 1)), undefined);
    assert.equal(new Seal(randomBytes(10), "second").open(sealed), undefined);
    assert.equal(first.open(sealed), undefined);
  });
});
