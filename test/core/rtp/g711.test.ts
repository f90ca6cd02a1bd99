import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { encodeAlaw, encodeMulaw } from "../../../src/core/rtp/g711.ts";
import { decodeAlaw, decodeMulaw, levelOf } from "./g711.ts";

const laws = [
  { name: "µ-law", encode: encodeMulaw, decode: decodeMulaw, largest: 32_124 },
  { name: "A-law", encode: encodeAlaw, decode: decodeAlaw, largest: 32_256 },
] as const;

suite("G.711", () => {
  for (const { name, encode, decode, largest } of laws) {
    test(`${name}: every code is the code of what it says`, () => {
      for (let code = 0; code < 256; code++) {
        const sample = decode(code);
        // The µ-law has two zeros.
        const again = encode(sample);
        assert.equal(sample === 0 ? decode(again) : again, sample === 0 ? 0 : code, `${code}`);
      }
    });

    test(`${name}: every sample gets the nearest step, and the largest what is beyond`, () => {
      const steps = Array.from({ length: 256 }, (_, code) => decode(code)).sort((a, b) => a - b);
      for (let sample = -32_768; sample <= 32_767; sample += 7) {
        const got = decode(encode(sample));
        const best = Math.min(...steps.map((step) => Math.abs(step - sample)));
        const scale = Math.max(16, Math.abs(sample) / 32);
        assert.ok(Math.abs(got - sample) <= best + scale, `${sample}: ${got}`);
      }
      assert.deepEqual([decode(encode(32_767)), decode(encode(-32_768))], [largest, -largest]);
    });
  }

  test("ITU-T G.711, tables 5 and 6: the sequences that are 0 dBm0", () => {
    const mulaw = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e].map(decodeMulaw);
    const alaw = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4].map(decodeAlaw);
    assert.deepEqual(mulaw.map(encodeMulaw), [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e]);
    assert.deepEqual(alaw.map(encodeAlaw), [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4]);
    assert.ok(Math.abs(levelOf(mulaw) - levelOf(alaw)) < 0.1);
  });
});
