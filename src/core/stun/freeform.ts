/**
 * PRECIS FreeformClass (RFC 8264 §4.3): which code points a user name, a realm or a password may hold. The derivation of
 * RFC 8264 §8 as one character class, and the contextual rules of RFC 5892 for the few that depend on their neighbours.
 */
import { JOINS_NEXT, JOINS_PREVIOUS, VIRAMA } from "./joining.ts";

/** RFC 8264 §9.6: the exceptions that are disallowed. Those that are valid are letters anyway. */
const EXCEPTIONS = String.raw`\u0640\u07fa\u302e\u302f\u3031-\u3035\u303b`;
/** RFC 8264 §9.9: conjoining jamo. */
const OLD_HANGUL_JAMO = String.raw`\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff`;
/** RFC 8264 §9.8: left to the contextual rules, though they can be ignored by default. */
const JOIN_CONTROL = String.raw`\u200c\u200d`;

/** RFC 8264 §9: what is no letter, mark, number, symbol, punctuation or space: controls, format, unassigned and so on. */
const DISALLOWED = new RegExp(
  String.raw`(?![${JOIN_CONTROL}])[^\p{L}\p{M}\p{N}\p{S}\p{P}\p{Zs}]|[${EXCEPTIONS}${OLD_HANGUL_JAMO}]|` +
    String.raw`(?![${JOIN_CONTROL}])\p{Default_Ignorable_Code_Point}`,
  "u",
);

const TRANSPARENT = String.raw`[\p{Mn}\p{Me}]*`;

/** For each rule of RFC 5892 Appendix A on a code point's neighbours, a pattern that finds what breaks it. */
const OUT_OF_CONTEXT: readonly RegExp[] = [
  // RFC 5892 §A.1: ZERO WIDTH NON-JOINER after a virama, or between letters that would join.
  new RegExp(
    String.raw`(?<![${VIRAMA}])(?:(?<![${JOINS_NEXT}]${TRANSPARENT})\u200c|\u200c(?!${TRANSPARENT}[${JOINS_PREVIOUS}]))`,
    "u",
  ),
  // RFC 5892 §A.2: ZERO WIDTH JOINER after a virama.
  new RegExp(String.raw`(?<![${VIRAMA}])\u200d`, "u"),
  // RFC 5892 §A.3: MIDDLE DOT between two "l".
  /(?<!l)\u00b7|\u00b7(?!l)/u,
  // RFC 5892 §A.4: GREEK LOWER NUMERAL SIGN before Greek.
  /\u0375(?!\p{Script=Greek})/u,
  // RFC 5892 §A.5, §A.6: HEBREW PUNCTUATION GERESH and GERSHAYIM after Hebrew.
  /(?<!\p{Script=Hebrew})[\u05f3\u05f4]/u,
];

const HAS_KANA_OR_HAN = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u;
const HAS_ARABIC_INDIC_DIGIT = /[\u0660-\u0669]/;
const HAS_EXTENDED_ARABIC_INDIC_DIGIT = /[\u06f0-\u06f9]/;

function isInContext(text: string): boolean {
  for (const broken of OUT_OF_CONTEXT) if (broken.test(text)) return false;
  // RFC 5892 §A.7: KATAKANA MIDDLE DOT in a string that has Hiragana, Katakana or Han.
  if (text.includes("\u30fb") && !HAS_KANA_OR_HAN.test(text)) return false;
  // RFC 5892 §A.8, §A.9: ARABIC-INDIC DIGITS never beside EXTENDED ARABIC-INDIC DIGITS.
  return !(HAS_ARABIC_INDIC_DIGIT.test(text) && HAS_EXTENDED_ARABIC_INDIC_DIGIT.test(text));
}

/** Whether `text` conforms to the FreeformClass. */
export function isFreeform(text: string): boolean {
  return !DISALLOWED.test(text) && isInContext(text);
}
