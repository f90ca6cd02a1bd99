/** Authorization, Proxy-Authorization, and the challenges that ask for them (RFC 3261 §20.7, RFC 7616). */
import { isAll, MALFORMED, type Malformed, quotedEnd, runEnd, skipSpace, TOKEN, unquoted } from "./characters.ts";

export interface Credentials {
  /** In lower case: "digest". */
  readonly scheme: string;
  /** Names in lower case, values without their quotes. */
  readonly params: ReadonlyMap<string, string>;
}

/** More than any scheme has. */
const MAX_CREDENTIAL_PARAMS = 32;

/** Behind a value that begins at `at`: a quoted string, or all that is before a comma or space. */
function valueEnd(text: string, at: number): number {
  if (text.charCodeAt(at) === 0x22) return quotedEnd(text, at, text.length);
  let i = at;
  while (i < text.length && text.charCodeAt(i) !== 0x2c && text.charCodeAt(i) > 0x20) i++;
  return i > at ? i : -1;
}

/** One header field's value. */
export function parseCredentials(text: string): Credentials | Malformed {
  const schemeEnd = runEnd(text, 0, text.length, TOKEN);
  const scheme = text.slice(0, schemeEnd);
  if (!isAll(scheme, TOKEN)) return MALFORMED;
  const params = new Map<string, string>();
  let at = skipSpace(text, schemeEnd, text.length);
  while (at < text.length) {
    const nameEnd = runEnd(text, at, text.length, TOKEN);
    const equals = skipSpace(text, nameEnd, text.length);
    const valueAt = skipSpace(text, equals + 1, text.length);
    if (nameEnd === at || text.charCodeAt(equals) !== 0x3d) return MALFORMED;
    const end = valueEnd(text, valueAt);
    const name = text.slice(at, nameEnd).toLowerCase();
    // RFC 7616 §3.4: a parameter that comes twice makes the field malformed.
    if (end < 0 || params.has(name) || params.size === MAX_CREDENTIAL_PARAMS) return MALFORMED;
    params.set(name, unquoted(text.slice(valueAt, end)));
    const comma = skipSpace(text, end, text.length);
    if (comma < text.length && text.charCodeAt(comma) !== 0x2c) return MALFORMED;
    at = skipSpace(text, comma + 1, text.length);
  }
  return { scheme: scheme.toLowerCase(), params };
}
