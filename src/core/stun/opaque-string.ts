/**
 * The OpaqueString profile of PRECIS (RFC 8265 §4.2), with which user names, realms and passwords are prepared before
 * they are hashed.
 */
import { isFreeform } from "./freeform.ts";

const PRINTABLE_ASCII = /^[ -~]+$/;
const NON_ASCII_SPACE = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;

/**
 * Prepares and enforces: maps non-ASCII spaces to U+0020, then NFC. Returns undefined for the empty string and for
 * strings with a disallowed code point.
 */
export function opaqueString(text: string): string | undefined {
  if (PRINTABLE_ASCII.test(text)) return text;
  if (text === "") return undefined;
  // RFC 8264 §7: code points are judged after the mappings, so that Hangul in decomposed form is as good as composed.
  const mapped = text.replace(NON_ASCII_SPACE, " ").normalize("NFC");
  return isFreeform(mapped) ? mapped : undefined;
}
