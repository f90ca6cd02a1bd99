/**
 * Cuts a message into its first line, its header fields and its body, in one pass, and makes sure of what every element
 * needs: the first line, and the fields that RFC 3261 §8.1.1 says each request has. All else is read when it is asked for.
 */
import { CALL_ID, DIGIT, isAll, isClass, MALFORMED, parseNumber, runEnd, SPACE, tokenEnd } from "./characters.ts";
import { type MessageFailure, messageFailure, type RefusalCode } from "./failure.ts";
import { HeaderField } from "./header-field.ts";
import { canonicalName, SINGLE_HEADERS } from "./header-names.ts";
import { Headers, readAddresses, readVias } from "./headers.ts";
import { type SipMessage, SipRequest, SipResponse } from "./message.ts";
import { isSipUri } from "./uri.ts";

/** A datagram's most, and enough for a stream's: each is held in memory until it is whole. */
export const MAX_MESSAGE_LENGTH = 65_535;
/** Three times what a request has that went through the most proxies that Max-Forwards allows. */
export const MAX_HEADER_FIELDS = 256;
/** Far more than a name, a host and their parameters; a URI is copied into many places. */
export const MAX_URI_LENGTH = 2048;

/** Behind the fields; undefined where they do not end, or are none. */
function cutFields(text: string, from: number, fields: HeaderField[]): number | RefusalCode {
  let at = from;
  for (;;) {
    if (text.startsWith("\r\n", at)) return at + 2;
    const nameEnd = tokenEnd(text, at);
    const colon = nameEnd > at ? colonAt(text, nameEnd) : -1;
    if (colon < 0) return "bad-header";
    const end = fieldEnd(text, colon);
    if (end < 0) return "bad-header";
    if (fields.length === MAX_HEADER_FIELDS) return "too-many-headers";
    fields.push(new HeaderField(canonicalName(text.slice(at, nameEnd)), text, at, colon, end));
    at = end;
  }
}

// RFC 3261 §7.3.1: space may be between a name and its colon, and nothing else may.
function colonAt(text: string, nameEnd: number): number {
  let i = nameEnd;
  while (text.charCodeAt(i) === 0x20 || text.charCodeAt(i) === 0x09) i++;
  return text.charCodeAt(i) === 0x3a ? i : -1;
}

/** Behind the field's last line: the one that no line with space at its begin follows. -1 for a line break of one byte. */
function fieldEnd(text: string, from: number): number {
  let at = from;
  for (;;) {
    const lf = text.indexOf("\n", at);
    if (lf < 0 || text.indexOf("\r", at) !== lf - 1) return -1;
    at = lf + 1;
    const next = text.charCodeAt(at);
    if (next !== 0x20 && next !== 0x09) return at;
  }
}

function repeatedField(fields: readonly HeaderField[]): boolean {
  let seen = 0;
  for (const { name } of fields) {
    const bit = SINGLE_HEADERS.get(name) ?? 0;
    if ((seen & bit) !== 0) return true;
    seen |= bit;
  }
  return false;
}

const mandatory = [
  { name: "via", code: "missing-via" },
  { name: "from", code: "missing-from" },
  { name: "to", code: "missing-to" },
  { name: "call-id", code: "missing-call-id" },
  { name: "cseq", code: "missing-cseq" },
] as const;

function isWrongAddress(headers: Headers, name: "from" | "to"): boolean {
  const list = headers.field(name)?.parsed(readAddresses);
  return list === undefined || list === MALFORMED || list.length !== 1;
}

// RFC 3261 §25.1: callid = word [ "@" word ]
function isCallId(text: string): boolean {
  const at = text.indexOf("@");
  return isAll(text, CALL_ID) && at !== 0 && at !== text.length - 1 && text.indexOf("@", at + 1) < 0;
}

/** What every message must have; undefined when it has. */
function wrongFields(message: SipMessage): RefusalCode | undefined {
  const { headers } = message;
  for (const { name, code } of mandatory) if (headers.field(name) === undefined) return code;
  if (repeatedField(headers.fields)) return "repeated-header";
  if (headers.field("via")?.parsed(readVias) === MALFORMED) return "bad-via";
  if (isWrongAddress(headers, "from")) return "bad-from";
  if (isWrongAddress(headers, "to")) return "bad-to";
  if (!isCallId(message.callId)) return "bad-call-id";
  const { number, method } = message.cseq;
  if (method === "" && number === 0) return "bad-cseq";
  if (message.kind === "request" && method !== message.method) return "method-mismatch";
  return message.maxForwards === MALFORMED ? "bad-max-forwards" : undefined;
}

/** What a request needs beside: that its first hop can be told, and its Contact. */
function wrongRequest(request: SipRequest): RefusalCode | undefined {
  if (request.uriText.length > MAX_URI_LENGTH) return "uri-too-long";
  const uri = request.parsedUri;
  if (uri === MALFORMED) return "bad-uri";
  // RFC 3261 §19.1.1, table 1: no headers in a Request-URI.
  if (isSipUri(uri) && uri.headers.length > 0) return "uri-headers";
  const wrong = wrongFields(request);
  if (wrong !== undefined) return wrong;
  if (request.contacts === MALFORMED) return "bad-contact";
  return request.routes === MALFORMED ? "bad-route" : undefined;
}

// RFC 3261 §25.1: a NUL is only in quoted-pair; anywhere else some reader would end there.
function hasBareNul(text: string, end: number): boolean {
  for (let i = text.indexOf("\0"); i >= 0 && i < end; i = text.indexOf("\0", i + 1)) {
    if (text.charCodeAt(i - 1) !== 0x5c) return true;
  }
  return false;
}

interface StartLine {
  readonly make: (headers: Headers, body: string) => SipMessage;
  readonly wrong: RefusalCode | undefined;
}

function parseStatusLine(line: string): StartLine {
  const codeEnd = runEnd(line, 8, line.length, DIGIT);
  const status = Number(line.slice(8, codeEnd));
  const isWrong = codeEnd !== 11 || status < 100 || status > 699 || (line.length > 11 && line.charCodeAt(11) !== 0x20);
  return {
    make: (headers, body) => new SipResponse(status, line.slice(12), headers, body),
    wrong: isWrong ? "bad-status-line" : undefined,
  };
}

// RFC 3261 §7.1: one space on each side of the Request-URI, none in it and none behind the version.
function parseRequestLine(line: string): StartLine | undefined {
  const methodEnd = tokenEnd(line, 0);
  const versionAt = line.endsWith(" SIP/2.0") ? line.length - 8 : line.toUpperCase().lastIndexOf(" SIP/");
  if (methodEnd === 0 || versionAt < methodEnd) return undefined;
  const uri = line.slice(methodEnd + 1, versionAt);
  const version = line.slice(versionAt + 5);
  let wrong: RefusalCode | undefined;
  const isVersion = version === "2.0" || /^\d+\.\d+$/.test(version);
  if (line.charCodeAt(methodEnd) !== 0x20 || uri === "" || uri.includes(" ") || uri.includes("\t") || !isVersion) {
    wrong = "bad-request-line";
  } else if (version !== "2.0") wrong = "bad-version";
  return { make: (headers, body) => new SipRequest(line.slice(0, methodEnd), uri, headers, body), wrong };
}

function bodyLength(headers: Headers, present: number): number | RefusalCode {
  const text = headers.value("content-length");
  if (text === undefined) return present;
  const length = parseNumber(text, Number.MAX_SAFE_INTEGER);
  if (length === undefined) return "bad-content-length";
  // RFC 3261 §18.3: what is behind the body of a datagram is none of the message; what is missing makes it wrong.
  return length <= present ? length : "body-too-short";
}

/** One whole message: a datagram, or what a stream's framer found. Whatever the text is, this does not throw. */
export function parseMessage(text: string): SipMessage | MessageFailure {
  if (text.length > MAX_MESSAGE_LENGTH) return messageFailure("message-too-long");
  let at = 0;
  // RFC 3261 §7.5: empty lines before the first are ignored.
  while (text.startsWith("\r\n", at)) at += 2;
  const lineEnd = text.indexOf("\r\n", at);
  if (lineEnd < 0 || isClass(text.charCodeAt(at), SPACE)) return messageFailure("not-sip");
  const line = text.slice(at, lineEnd);
  const isStatus = line.startsWith("SIP/2.0 ");
  const start = isStatus ? parseStatusLine(line) : parseRequestLine(line);
  if (start === undefined || line.includes("\n") || line.includes("\r")) return messageFailure("not-sip");
  const fields: HeaderField[] = [];
  const bodyAt = cutFields(text, lineEnd + 2, fields);
  const headers = new Headers(fields);
  const length = typeof bodyAt === "string" ? bodyAt : bodyLength(headers, text.length - bodyAt);
  const body = typeof bodyAt === "number" && typeof length === "number" ? text.slice(bodyAt, bodyAt + length) : "";
  const message = start.make(headers, body);
  if (start.wrong !== undefined) return failureOf(start.wrong, message);
  if (typeof bodyAt === "string") return failureOf(bodyAt, message);
  if (hasBareNul(text, bodyAt)) return failureOf("bad-header", message);
  const wrong = message.kind === "request" ? wrongRequest(message) : wrongFields(message);
  if (wrong !== undefined) return failureOf(wrong, message);
  return typeof length === "string" ? failureOf(length, message) : message;
}

function failureOf(code: RefusalCode, message: SipMessage): MessageFailure {
  // RFC 3261 §17.1.1.3: an ACK is never answered. Without a Via nobody waits for an answer.
  const isAnswerable =
    message.kind === "request" && message.method !== "ACK" && message.headers.field("via") !== undefined;
  return messageFailure(code, isAnswerable ? message : undefined);
}
