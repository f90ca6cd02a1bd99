/**
 * The characters of RFC 3261 §25.1 and the steps that every header's parser takes. Parsers work on the text of the whole
 * message, between `at` and `end`: nothing is cut out before it is needed. The line breaks of a folded field count as
 * space, which is all that they can be once a message was cut into fields.
 */

/** What a part that does not keep to its grammar is read as. */
export const MALFORMED = "malformed";
export type Malformed = typeof MALFORMED;

export const TOKEN = 1;
export const SPACE = 2;
export const DIGIT = 4;
export const HOST = 8;
export const USER = 16;
export const PASSWORD = 32;
export const URI_PARAM = 64;
export const URI_HEADER = 128;
export const SCHEME = 256;
/** What a parameter's value may hold without quotes: a token, or a host, with an IPv6 address in brackets or without. */
export const PARAM_VALUE = 512;
/** RFC 3261 §25.1 `word`, and the "@" between two of them. */
export const CALL_ID = 1024;
export const URI = 2048;

const classes = new Uint16Array(256);

function mark(mask: number, characters: string): void {
  for (let i = 0; i < characters.length; i++) classes[characters.charCodeAt(i)]! |= mask;
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const digits = "0123456789";
const alphanumeric = letters + digits;
const unreserved = `${alphanumeric}-_.!~*'()`;

mark(TOKEN, `${alphanumeric}-.!%*_+\`'~`);
mark(SPACE, " \t\r\n");
mark(DIGIT, digits);
// DEVIATES RFC 3261 §25.1: names of hosts have underscores in real networks.
mark(HOST, `${alphanumeric}-._`);
// DEVIATES RFC 3261 §25.1: phones dial "*21#" without escaping the "#", which means nothing else in a SIP URI.
mark(USER, `${unreserved}&=+$,;?/%#`);
mark(PASSWORD, `${unreserved}&=+$,%`);
mark(URI_PARAM, `${unreserved}[]/:&+$%`);
mark(URI_HEADER, `${unreserved}[]/?:+$%`);
mark(SCHEME, `${alphanumeric}+-.`);
mark(PARAM_VALUE, `${alphanumeric}-.!%*_+\`'~[]:`);
mark(CALL_ID, `${alphanumeric}-.!%*_+\`'~()<>:\\"/[]?{}@`);
mark(URI, `${unreserved};/?:@&=+$,%#[]`);

export function isClass(code: number, mask: number): boolean {
  return code < 256 && ((classes[code] as number) & mask) !== 0;
}

/** Where the run of characters of `mask` that begins at `at` ends. */
export function runEnd(text: string, at: number, end: number, mask: number): number {
  let i = at;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (code > 255 || ((classes[code] as number) & mask) === 0) break;
    i++;
  }
  return i;
}

export function skipSpace(text: string, at: number, end: number): number {
  return runEnd(text, at, end, SPACE);
}

/** Where `code` is first; -1 when it is not before `end`, and nothing behind that is looked at. */
export function indexWithin(text: string, code: number, at: number, end: number): number {
  for (let i = at; i < end; i++) if (text.charCodeAt(i) === code) return i;
  return -1;
}

/** Where the text before `end` ends but for space. */
export function trimEnd(text: string, at: number, end: number): number {
  let i = end;
  while (i > at && isClass(text.charCodeAt(i - 1), SPACE)) i--;
  return i;
}

export function isAll(text: string, mask: number): boolean {
  return text !== "" && runEnd(text, 0, text.length, mask) === text.length;
}

/** Behind the quoted string whose first quote is at `at`; -1 when it has no end. */
export function quotedEnd(text: string, at: number, end: number): number {
  for (let i = at + 1; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) return i + 1;
    if (code === 0x5c) i++;
  }
  return -1;
}

/** What a quoted string says; other text is itself. */
export function unquoted(text: string): string {
  if (text.length < 2 || text.charCodeAt(0) !== 0x22) return text;
  const inner = text.slice(1, -1);
  if (!inner.includes("\\")) return inner;
  let out = "";
  for (let i = 0; i < inner.length; i++) {
    if (inner.charCodeAt(i) === 0x5c) i++;
    out += inner.charAt(i);
  }
  return out;
}

/** A quoted string that says `text`. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** RFC 3261 §7.3.1: a line break and the space around it are one space. */
export function unfolded(text: string): string {
  if (!text.includes("\r\n")) return text;
  let out = "";
  for (let at = 0; ; ) {
    const cr = text.indexOf("\r\n", at);
    if (cr < 0) return out + text.slice(at);
    out += `${text.slice(at, trimEnd(text, at, cr))} `;
    at = skipSpace(text, cr, text.length);
  }
}

/** A whole number of digits alone, at most `largest`; undefined for anything else. */
export function parseNumber(text: string, largest: number): number | undefined {
  if (!isAll(text, DIGIT)) return undefined;
  const value = Number(text);
  return value <= largest ? value : undefined;
}

/** Where the token ends that begins at `at`. */
export function tokenEnd(text: string, at: number): number {
  return runEnd(text, at, text.length, TOKEN);
}
