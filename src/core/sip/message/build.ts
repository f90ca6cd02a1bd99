/** Messages of our own: requests, and responses to requests. */
import { PosternError } from "../../base/failure.ts";
import { isAll, MALFORMED, TOKEN } from "./characters.ts";
import type { HeaderField } from "./header-field.ts";
import { Headers, readAddresses } from "./headers.ts";
import { SipRequest, SipResponse } from "./message.ts";
import { reasonPhrase } from "./reason-phrase.ts";
import { parseUri } from "./uri.ts";

export type HeaderLine = readonly [name: string, value: string];

export interface RequestParts {
  readonly method: string;
  readonly uri: string;
  /** In this order. Content-Length is put behind them. */
  readonly headers: readonly HeaderLine[];
  readonly body?: string;
}

/** Throws `PosternError` for a method, a URI, or a header that is none. */
export function createRequest({ method, uri, headers, body = "" }: RequestParts): SipRequest {
  if (!isAll(method, TOKEN)) throw new PosternError("bad-method", `${JSON.stringify(method)} is no method.`);
  if (parseUri(uri) === MALFORMED) throw new PosternError("bad-uri", `${JSON.stringify(uri)} is no URI.`);
  const request = new SipRequest(method, uri, new Headers([]), body);
  for (const [name, value] of headers) request.headers.append(name, value);
  request.headers.set("Content-Length", String(body.length));
  return request;
}

export interface ResponseParts {
  /** What else than the status's usual words is to be said. */
  readonly reason?: string;
  /** Of To, where the request has none. For all but 100 there must be one. */
  readonly toTag?: string;
  readonly headers?: readonly HeaderLine[];
  readonly body?: string;
}

const COPIED: ReadonlySet<string> = new Set(["via", "from", "to", "call-id", "cseq"]);

/** RFC 3261 §8.2.6: all Via, From, To, Call-ID and CSeq are the request's, byte for byte. */
export function createResponse(request: SipRequest, status: number, parts: ResponseParts = {}): SipResponse {
  const { reason = reasonPhrase(status), toTag, body = "" } = parts;
  const fields: HeaderField[] = [];
  for (const field of request.headers.fields) {
    if (!COPIED.has(field.name)) continue;
    fields.push(toTag !== undefined && field.name === "to" ? withTag(field, toTag) : field);
  }
  // RFC 3261 §8.2.6.1: Timestamp goes into a 100.
  if (status === 100) fields.push(...request.headers.fields.filter((field) => field.name === "timestamp"));
  const response = new SipResponse(status, reason, new Headers(fields), body);
  for (const [name, value] of parts.headers ?? []) response.headers.append(name, value);
  response.headers.set("Content-Length", String(body.length));
  return response;
}

function withTag(field: HeaderField, tag: string): HeaderField {
  const list = field.parsed(readAddresses);
  // A To that nobody can read is given back as it came.
  if (list === MALFORMED) return field;
  const to = list[0];
  return to === undefined || to.params.has("tag") ? field : field.spliced(to.end, to.end, `;tag=${tag}`);
}
