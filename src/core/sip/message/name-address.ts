/** `"Display Name" <uri>;params`, or a bare `uri;params` (RFC 3261 §20.10): From, To, Contact, Route, Record-Route, Path. */
import {
  indexWithin,
  isClass,
  MALFORMED,
  type Malformed,
  quotedEnd,
  SPACE,
  skipSpace,
  TOKEN,
  trimEnd,
  unfolded,
  unquoted,
} from "./characters.ts";
import { type Params, parseParams } from "./params.ts";
import { parseUri, type Uri } from "./uri.ts";

export interface NameAddress {
  /** Without its quotes, as bytes of UTF-8; "" when there is none. */
  readonly displayName: string;
  readonly uri: Uri;
  /** As it was written, without the brackets. */
  readonly uriText: string;
  /** Of the header, not of the URI. */
  readonly params: Params;
  /** Where things lie in the field: the whole, and the URI without its brackets. */
  readonly at: number;
  readonly end: number;
  readonly uriAt: number;
  readonly uriEnd: number;
  readonly isBracketed: boolean;
}

/** Where an unquoted display name ends, which may be empty: at "<". -1 when this is no display name. */
function bareNameEnd(text: string, at: number, end: number): number {
  for (let i = at; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x3c) return i;
    // DEVIATES RFC 3261 §25.1: phones put names beyond ASCII there without quotes; no such byte can be taken for syntax.
    if (!isClass(code, TOKEN | SPACE) && code < 0x80) return -1;
  }
  return -1;
}

// RFC 3261 §20.10: without brackets a URI has no comma, question mark or semicolon: what follows belongs to the header.
function bareUriEnd(text: string, at: number, end: number): number {
  for (let i = at; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x3b || code === 0x2c || isClass(code, SPACE)) return i;
    if (code === 0x3f || code === 0x3c || code === 0x22) return -1;
  }
  return end;
}

/** The one that begins at `at`, up to a comma or the end. */
export function parseNameAddress(text: string, at: number, end: number): NameAddress | Malformed {
  const isQuoted = text.charCodeAt(at) === 0x22;
  let nameEnd = isQuoted ? quotedEnd(text, at, end) : bareNameEnd(text, at, end);
  if (isQuoted) {
    if (nameEnd < 0) return MALFORMED;
    nameEnd = skipSpace(text, nameEnd, end);
    if (text.charCodeAt(nameEnd) !== 0x3c || nameEnd >= end) return MALFORMED;
  }
  const isBracketed = nameEnd >= 0;
  const uriAt = isBracketed ? nameEnd + 1 : at;
  const uriEnd = isBracketed ? indexWithin(text, 0x3e, uriAt, end) : bareUriEnd(text, at, end);
  if (uriEnd < 0) return MALFORMED;
  const uriText = text.slice(uriAt, uriEnd);
  const uri = parseUri(uriText);
  if (uri === MALFORMED) return MALFORMED;
  const params = parseParams(text, isBracketed ? uriEnd + 1 : uriEnd, end);
  if (params === MALFORMED) return MALFORMED;
  const name = isBracketed ? unquoted(unfolded(text.slice(at, trimEnd(text, at, nameEnd)))) : "";
  return { displayName: name, uri, uriText, params, at, end: params.end, uriAt, uriEnd, isBracketed };
}
