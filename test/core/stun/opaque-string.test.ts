import assert from "node:assert/strict";
import { test } from "node:test";
import { isFreeform } from "../../../src/core/stun/freeform.ts";
import { opaqueString } from "../../../src/core/stun/opaque-string.ts";
import * as rfc5769 from "../../vectors/rfc5769.ts";

type Property = "valid" | "context" | "disallowed" | "unassigned";

const EXCEPTIONS: ReadonlyMap<number, Property> = new Map<number, Property>([
  ...[0x00df, 0x03c2, 0x06fd, 0x06fe, 0x0f0b, 0x3007].map((c) => [c, "valid"] as const),
  ...[0x00b7, 0x0375, 0x05f3, 0x05f4, 0x30fb].map((c) => [c, "context"] as const),
  ...Array.from({ length: 10 }, (_, i) => [0x0660 + i, "context"] as const),
  ...Array.from({ length: 10 }, (_, i) => [0x06f0 + i, "context"] as const),
  ...[0x0640, 0x07fa, 0x302e, 0x302f, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303b].map(
    (c) => [c, "disallowed"] as const,
  ),
]);

/** Hangul_Syllable_Type L, V or T (HangulSyllableType.txt). */
const OLD_HANGUL_JAMO: readonly (readonly [number, number])[] = [
  [0x1100, 0x11ff],
  [0xa960, 0xa97c],
  [0xd7b0, 0xd7c6],
  [0xd7cb, 0xd7fb],
];

/** RFC 8264 §8 for the FreeformClass, rule after rule in its order. */
function derived(c: number): Property {
  const character = String.fromCodePoint(c);
  const is = (pattern: RegExp): boolean => pattern.test(character);
  const exception = EXCEPTIONS.get(c);
  if (exception !== undefined) return exception;
  if (is(/\p{Cn}/u) && !is(/\p{Noncharacter_Code_Point}/u)) return "unassigned";
  if (c >= 0x21 && c <= 0x7e) return "valid";
  if (is(/\p{Join_Control}/u)) return "context";
  if (OLD_HANGUL_JAMO.some(([from, to]) => c >= from && c <= to)) return "disallowed";
  if (is(/\p{Default_Ignorable_Code_Point}|\p{Noncharacter_Code_Point}/u)) return "disallowed";
  if (is(/\p{Cc}/u)) return "disallowed";
  if (character.normalize("NFKC") !== character) return "valid";
  if (is(/[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]/u)) return "valid";
  if (is(/[\p{Lt}\p{Nl}\p{No}\p{Me}]/u)) return "valid";
  if (is(/\p{Zs}/u)) return "valid";
  if (is(/[\p{Sm}\p{Sc}\p{Sk}\p{So}]/u)) return "valid";
  if (is(/[\p{Pc}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}]/u)) return "valid";
  return "disallowed";
}

test("RFC 8264 §8: every code point is what the derivation makes it", () => {
  const counts = { valid: 0, context: 0, disallowed: 0, unassigned: 0 };
  for (let c = 0; c <= 0x10ffff; c++) {
    const property = derived(c);
    counts[property]++;
    // Alone, a digit of either Arabic kind breaks no rule; the others of the contextual ones do.
    const isLoneDigit = (c >= 0x660 && c <= 0x669) || (c >= 0x6f0 && c <= 0x6f9);
    const expected = property === "valid" || isLoneDigit;
    if (isFreeform(String.fromCodePoint(c)) !== expected) assert.fail(`U+${c.toString(16)} is ${property}`);
  }
  assert.equal(counts.context, 27);
  assert.ok(counts.valid > 140_000);
});

test("RFC 8265 §4.3: the examples that are allowed", () => {
  assert.equal(opaqueString("correct horse battery staple"), "correct horse battery staple");
  assert.equal(opaqueString("Correct Horse Battery Staple"), "Correct Horse Battery Staple");
  assert.equal(opaqueString("\u03c0\u00df\u00e5"), "\u03c0\u00df\u00e5");
  assert.equal(opaqueString("Jack of \u2666s"), "Jack of \u2666s");
  assert.equal(opaqueString("foo\u1680bar"), "foo bar");
});

test("RFC 8265 §4.3: the examples that are not: the empty string, and controls", () => {
  assert.equal(opaqueString(""), undefined);
  assert.equal(opaqueString("my cat is a \u0009by"), undefined);
});

test("RFC 8265 §4.2.2: non-ASCII spaces become U+0020, and the string NFC; case and width stay", () => {
  assert.equal(opaqueString("a\u00a0b\u2003c\u3000d"), "a b c d");
  assert.equal(opaqueString("e\u0301"), "\u00e9");
  assert.equal(opaqueString("\u212b"), "\u00c5");
  assert.equal(opaqueString("\uff21B"), "\uff21B");
  assert.equal(opaqueString(" leading and trailing "), " leading and trailing ");
});

test("RFC 5769 §2.4, RFC 8489 §B.1: U+00AD, which SASLprep maps to nothing, PRECIS disallows; the rest stays as it is", () => {
  assert.equal(opaqueString(rfc5769.LONG_TERM_USERNAME), rfc5769.LONG_TERM_USERNAME);
  assert.equal(opaqueString(rfc5769.LONG_TERM_PASSWORD_TYPED), undefined);
  // SASLprep makes it "TheMatrIX"; the compatibility forms are valid in the FreeformClass.
  assert.equal(opaqueString("TheM\u00aatr\u2168"), "TheM\u00aatr\u2168");
  assert.equal(opaqueString(rfc5769.LONG_TERM_PASSWORD), rfc5769.LONG_TERM_PASSWORD);
});

test("RFC 8264 §7: code points are judged after the mapping, so decomposed Hangul is as good as composed", () => {
  assert.equal(opaqueString("\u1112\u1161\u11ab"), "\ud55c");
  assert.equal(opaqueString("\u1112\u1161\u11ab\u1112"), undefined);
});

/** For each contextual rule, what it allows and what it does not. */
const context: readonly { rule: string; good: readonly string[]; bad: readonly string[] }[] = [
  {
    rule: "RFC 5892 §A.1: ZERO WIDTH NON-JOINER after a virama, or between letters that would join",
    good: [
      "\u0915\u094d\u200c\u0937",
      "\u0645\u06cc\u200c\u062e\u0648",
      "\u0628\u064b\u200c\u064b\u0627",
      "\ua872\u200c\u0628",
    ],
    bad: ["\u200c", "a\u200cb", "\u0627\u200c\u0628", "\u0628\u200c", "\u200c\u0628", "\u0628\u200c\u200c\u0628"],
  },
  {
    rule: "RFC 5892 §A.2: ZERO WIDTH JOINER after a virama",
    good: ["\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d"],
    bad: ["\u200d", "\u0628\u200d\u0628", "\u200d\u094d", "\u{1f469}\u200d\u{1f4bb}"],
  },
  {
    rule: "RFC 5892 §A.3: MIDDLE DOT between two l",
    good: ["l\u00b7l", "l\u00b7l\u00b7l"],
    bad: ["\u00b7", "l\u00b7a", "a\u00b7l", "L\u00b7L"],
  },
  {
    rule: "RFC 5892 §A.4: GREEK LOWER NUMERAL SIGN before Greek",
    good: ["\u0375\u03b1"],
    bad: ["\u0375", "\u03b1\u0375", "\u0375a"],
  },
  { rule: "RFC 5892 §A.5: GERESH after Hebrew", good: ["\u05d0\u05f3"], bad: ["\u05f3", "\u05f3\u05d0", "a\u05f3"] },
  { rule: "RFC 5892 §A.6: GERSHAYIM after Hebrew", good: ["\u05d0\u05f4\u05d0"], bad: ["\u05f4", "a\u05f4"] },
  {
    rule: "RFC 5892 §A.7: KATAKANA MIDDLE DOT where there is Hiragana, Katakana or Han",
    good: ["\u30fb\u3042", "\u30a2\u30fb", "\u65e5\u30fb\u30fb"],
    bad: ["\u30fb", "a\u30fb", "\u30fb\u30fb"],
  },
  {
    rule: "RFC 5892 §A.8, §A.9: one kind of Arabic digits",
    good: ["\u0661\u0662", "\u06f1\u06f2"],
    bad: ["\u0661\u06f1", "\u06f1a\u0661"],
  },
];

for (const { rule, good, bad } of context) {
  test(rule, () => {
    for (const text of good) assert.equal(opaqueString(text), text.normalize("NFC"), JSON.stringify(text));
    for (const text of bad) assert.equal(opaqueString(text), undefined, JSON.stringify(text));
  });
}

test("a lone surrogate is disallowed", () => {
  assert.equal(opaqueString("a\ud800"), undefined);
  assert.equal(opaqueString("\udc00a"), undefined);
});
