import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBase64, encodeBase64 } from "../../../src/core/base/base64.ts";

test("RFC 4648 §10: the test vectors", () => {
  const vectors = [
    "",
    "",
    "f",
    "Zg==",
    "fo",
    "Zm8=",
    "foo",
    "Zm9v",
    "foob",
    "Zm9vYg==",
    "fooba",
    "Zm9vYmE=",
    "foobar",
    "Zm9vYmFy",
  ];
  for (let i = 0; i < vectors.length; i += 2) {
    const bytes = new TextEncoder().encode(vectors[i]);
    const text = vectors[i + 1] as string;
    assert.equal(encodeBase64(bytes), text);
    assert.deepEqual(decodeBase64(text), bytes);
    assert.equal(encodeBase64(bytes, ""), text.replace(/=/g, ""));
    assert.deepEqual(decodeBase64(text.replace(/=/g, "")), bytes);
  }
});

test("encoding agrees with Buffer, and decoding gives the bytes back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = encodeBase64(bytes);
      assert.equal(text, Buffer.from(bytes).toString("base64"));
      assert.deepEqual(decodeBase64(text), bytes);
      assert.deepEqual(decodeBase64(encodeBase64(bytes, "")), bytes);
    }),
  );
});

test("RFC 4648 §3.5: what decodes is canonical: encoded again it is the same text, padding aside", () => {
  const text = fc.oneof(
    fc.base64String(),
    fc.array(fc.constantFrom("A", "B", "/", "+", "9", "=", "-", "_", " ", "\n"), { maxLength: 9 }),
  );
  fc.assert(
    fc.property(text, (t) => {
      const s = typeof t === "string" ? t : t.join("");
      const bytes = decodeBase64(s);
      const canonical = Buffer.from(s, "base64").toString("base64");
      const isCanonical = s === canonical || s === canonical.replace(/=/g, "");
      assert.equal(bytes !== undefined, isCanonical, JSON.stringify(s));
      if (bytes !== undefined) assert.equal(encodeBase64(bytes), canonical);
    }),
    { numRuns: 10_000 },
  );
});

test("padding where none belongs, the URL alphabet, line breaks and set spare bits are refused", () => {
  for (const text of [
    "=",
    "==",
    "A",
    "A===",
    "AA=",
    "AAA==",
    "AAAA=",
    "AAAA==",
    "AB==",
    "AAB=",
    "A-A_",
    "AA\nAA",
    " AAAA",
    "A=AA",
  ]) {
    assert.equal(decodeBase64(text), undefined, JSON.stringify(text));
  }
});
