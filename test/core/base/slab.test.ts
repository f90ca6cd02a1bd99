import assert from "node:assert/strict";
import { test } from "node:test";
import { cutCopy } from "../../../src/core/base/slab.ts";

test("each copy is whole and its own, whatever its length, and whatever is written to another", () => {
  const source = Uint8Array.from({ length: 70_000 }, (_, i) => i * 7);
  const lengths = [0, 1, 63, 64, 65, 100, 1023, 1024, 1025, 8191, 8192, 8193, 65_535];
  const copies = Array.from({ length: 400 }, (_, i) => {
    const length = lengths[i % lengths.length] as number;
    return { from: i, copy: cutCopy(source, i, i + length), length };
  });
  for (const { from, copy, length } of copies) {
    assert.deepEqual(copy, source.slice(from, from + length));
    copy.fill(0);
  }
  source.fill(1);
  for (const { copy } of copies) assert.ok(copy.every((byte) => byte === 0));
});
