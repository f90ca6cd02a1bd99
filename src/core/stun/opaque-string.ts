/**
 * The OpaqueString profile of PRECIS (RFC 8265 §4.2), with which user names, realms and passwords are prepared before
 * they are hashed. FreeformClass of RFC 8264 §4.3: whatever is not a control, a symbol for layout, or unassigned.
 */

/** RFC 8264 §9: controls, old Hangul jamo, ignorable, surrogate, private use and unassigned code points. */
const DISALLOWED =
  /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u0640\u07fa\u302e\u302f\u3031-\u3035\u303b]/u;

const NON_ASCII_SPACE = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;

/**
 * Prepares and enforces: maps non-ASCII spaces to U+0020, then NFC. Returns undefined for the empty string and for
 * strings with a disallowed code point.
 */
export function opaqueString(text: string): string | undefined {
  if (text === "" || DISALLOWED.test(text)) return undefined;
  return text.replace(NON_ASCII_SPACE, " ").normalize("NFC");
}
