/** SIP, SIPS (RFC 3261 §19.1) and tel URIs (RFC 3966), and others whose scheme alone is known. */
import {
  isAll,
  isClass,
  MALFORMED,
  type Malformed,
  PASSWORD,
  runEnd,
  SCHEME,
  URI,
  URI_HEADER,
  USER,
} from "./characters.ts";
import { hostEnd, parsePort } from "./host.ts";
import { NO_PARAMS, type Params, parseUriParams } from "./params.ts";

export interface SipUri {
  readonly scheme: "sip" | "sips";
  /** As written, escapes and all: `unescaped` says what it means. */
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** As written; an IPv6 address with its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
  /** Names in lower case, values as written. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface TelUri {
  readonly scheme: "tel";
  readonly number: string;
  readonly params: Params;
}

export interface OtherUri {
  /** In lower case; none of `sip`, `sips`, `tel`. */
  readonly scheme: string;
  readonly text: string;
}

export type Uri = SipUri | TelUri | OtherUri;

export function isSipUri(uri: Uri): uri is SipUri {
  return uri.scheme === "sip" || uri.scheme === "sips";
}

export function isTelUri(uri: Uri): uri is TelUri {
  return uri.scheme === "tel";
}

/** RFC 3261 §25.1: no "%" but before two hexadecimal digits. */
function hasWrongEscape(text: string, at: number, end: number): boolean {
  for (let i = text.indexOf("%", at); i >= 0 && i < end; i = text.indexOf("%", i + 1)) {
    if (i + 2 >= end || !isHex(text.charCodeAt(i + 1)) || !isHex(text.charCodeAt(i + 2))) return true;
  }
  return false;
}

function isHex(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x66);
}

const NO_HEADERS: SipUri["headers"] = [];
/** More than any URI needs that is to make a request with headers. */
const MAX_HEADERS = 32;

function parseUriHeaders(text: string): SipUri["headers"] | Malformed {
  const list: [string, string][] = [];
  for (const part of text.split("&", MAX_HEADERS + 1)) {
    const equals = part.indexOf("=");
    const [name, value] = [part.slice(0, equals), part.slice(equals + 1)];
    if (equals < 1 || !isAll(name, URI_HEADER) || (value !== "" && !isAll(value, URI_HEADER))) return MALFORMED;
    list.push([name.toLowerCase(), value]);
  }
  return list.length > MAX_HEADERS ? MALFORMED : list;
}

function parseSip(scheme: "sip" | "sips", text: string, from: number): SipUri | Malformed {
  const end = text.length;
  let user: string | undefined;
  let password: string | undefined;
  let at = from;
  // A user may have ";" and "?": the "@" comes first, and there is only one.
  const separator = text.indexOf("@", from);
  if (separator >= 0) {
    const userEnd = runEnd(text, from, separator, USER);
    if (userEnd === from) return MALFORMED;
    user = text.slice(from, userEnd);
    if (userEnd < separator) {
      if (text.charCodeAt(userEnd) !== 0x3a || runEnd(text, userEnd + 1, separator, PASSWORD) !== separator)
        return MALFORMED;
      password = text.slice(userEnd + 1, separator);
    }
    at = separator + 1;
  }
  let i = hostEnd(text, at, end);
  if (i < 0) return MALFORMED;
  const host = text.slice(at, i);
  let port: number | undefined;
  if (i < end && text.charCodeAt(i) === 0x3a) {
    const portAt = i + 1;
    while (++i < end && isClass(text.charCodeAt(i), 4));
    port = parsePort(text.slice(portAt, i));
    if (port === undefined) return MALFORMED;
  }
  let params: Params | Malformed = NO_PARAMS;
  if (i < end && text.charCodeAt(i) === 0x3b) {
    params = parseUriParams(text, i, end);
    if (params === MALFORMED) return MALFORMED;
    i = params.end;
  }
  let headers: SipUri["headers"] | Malformed = NO_HEADERS;
  if (i < end && text.charCodeAt(i) === 0x3f) {
    headers = parseUriHeaders(text.slice(i + 1));
    if (headers === MALFORMED) return MALFORMED;
    i = end;
  }
  if (i !== end || hasWrongEscape(text, from, end)) return MALFORMED;
  return { scheme, user, password, host, port, params, headers };
}

// RFC 3966 §3: digits with visual separators, a "+" before those of a global number; a local one has more to dial with.
function isTelNumber(text: string): boolean {
  let count = 0;
  for (let i = text.charAt(0) === "+" ? 1 : 0; i < text.length; i++) {
    const code = text.charCodeAt(i) | 0x20;
    if (isHex(code) || code === 0x2a || code === 0x23 || text.charCodeAt(i) === 0x23) count++;
    else if (code !== 0x2d && code !== 0x2e && code !== 0x28 && code !== 0x29) return false;
  }
  return count > 0;
}

function parseTel(text: string, from: number): TelUri | Malformed {
  const semicolon = text.indexOf(";", from);
  const number = text.slice(from, semicolon < 0 ? text.length : semicolon);
  if (!isTelNumber(number)) return MALFORMED;
  const params = semicolon < 0 ? NO_PARAMS : parseUriParams(text, semicolon, text.length);
  if (params === MALFORMED || (semicolon >= 0 && params.end !== text.length)) return MALFORMED;
  return hasWrongEscape(text, from, text.length) ? MALFORMED : { scheme: "tel", number, params };
}

function schemeOf(text: string): string | undefined {
  const end = runEnd(text, 0, text.length, SCHEME);
  const isScheme = end > 0 && text.charCodeAt(end) === 0x3a && (text.charCodeAt(0) | 0x20) >= 0x61;
  return isScheme ? text.slice(0, end) : undefined;
}

/** Any URI without the angle brackets around it. */
export function parseUri(text: string): Uri | Malformed {
  if (text.startsWith("sip:")) return parseSip("sip", text, 4);
  const scheme = schemeOf(text)?.toLowerCase();
  if (scheme === undefined) return MALFORMED;
  const at = scheme.length + 1;
  if (scheme === "sip" || scheme === "sips") return parseSip(scheme, text, at);
  if (scheme === "tel") return parseTel(text, at);
  return isAll(text.slice(at), URI) ? { scheme, text } : MALFORMED;
}

export function formatUri(uri: Uri): string {
  if (isTelUri(uri)) return `tel:${uri.number}${uri.params}`;
  if (!isSipUri(uri)) return uri.text;
  const password = uri.password === undefined ? "" : `:${uri.password}`;
  const user = uri.user === undefined ? "" : `${uri.user}${password}@`;
  const port = uri.port === undefined ? "" : `:${uri.port}`;
  const headers = uri.headers.map(([name, value]) => `${name}=${value}`).join("&");
  return `${uri.scheme}:${user}${uri.host}${port}${uri.params}${headers === "" ? "" : `?${headers}`}`;
}

/** RFC 3261 §19.1.1: a Request-URI has no headers. The rest of the text stays as it was written. */
export function withoutHeaders(uri: string): string {
  const at = uri.indexOf("?", uri.lastIndexOf("@") + 1);
  return at < 0 ? uri : uri.slice(0, at);
}
