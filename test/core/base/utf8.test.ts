import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8 } from "../../../src/core/base/utf8.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function oracle(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Lead and continuation bytes at their boundaries, more often than chance would give them. */
const interesting = fc.constantFrom(
  ...[
    0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0x9f, 0xa0, 0xed, 0xef, 0xf0, 0x8f, 0x90, 0xf4, 0xf5, 0xf8,
    0xff,
  ],
);

test("encoding agrees with TextEncoder, lone surrogates included", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.array(fc.integer({ min: 0xd7ff, max: 0xe000 })), (text, units) => {
      const all = text + String.fromCharCode(...units);
      assert.deepEqual(encodeUtf8(all), new TextEncoder().encode(all));
    }),
    { numRuns: 2_000 },
  );
});

test("decoding agrees with TextDecoder, which is strict: valid, broken and boundary bytes", () => {
  const bytes = fc.oneof(
    fc.uint8Array(),
    fc.array(interesting, { maxLength: 8 }).map((b) => Uint8Array.from(b)),
  );
  fc.assert(
    fc.property(bytes, (b) => assert.equal(decodeUtf8(b), oracle(b))),
    { numRuns: 20_000 },
  );
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => assert.equal(decodeUtf8(encodeUtf8(text)), text)));
});

test("every one and two byte sequence, and every lead byte before three continuations", () => {
  for (let a = 0; a < 256; a++) {
    assert.equal(decodeUtf8(Uint8Array.of(a)), oracle(Uint8Array.of(a)));
    for (let b = 0; b < 256; b++) {
      for (const tail of [[], [0x80], [0xbf, 0x80]]) {
        const bytes = Uint8Array.of(a, b, ...tail);
        assert.equal(decodeUtf8(bytes), oracle(bytes), bytes.join());
      }
    }
  }
});
