/** One Via header value (RFC 3261 §20.42, RFC 3581). */
import { DIGIT, MALFORMED, type Malformed, runEnd, skipSpace, TOKEN } from "./characters.ts";
import { hostEnd, parsePort } from "./host.ts";
import { type Params, parseParams } from "./params.ts";

export interface Via {
  /** In upper case: `UDP`, `TCP`, `TLS`, … */
  readonly transport: string;
  /** Of sent-by, as written; an IPv6 address with its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
  /** Where it lies in the field, and where sent-by ends. */
  readonly at: number;
  readonly end: number;
}

/** RFC 3261 §8.1.1.7: a branch that begins so is unique. */
export const BRANCH_COOKIE = "z9hG4bK";

/** The branch of an element of RFC 3261; undefined when it is another's (RFC 2543), and unique only with other fields. */
export function uniqueBranch(via: Via): string | undefined {
  const branch = via.params.get("branch");
  // RFC 4475 §3.2.1: the cookie alone is no unique branch. RFC 3261 §20: tokens are compared without regard to case.
  const isUnique = branch !== undefined && branch.length > BRANCH_COOKIE.length;
  return isUnique && branch.slice(0, BRANCH_COOKIE.length).toLowerCase() === "z9hg4bk" ? branch : undefined;
}

function transportName(text: string): string {
  return text === "UDP" || text === "TCP" || text === "TLS" ? text : text.toUpperCase();
}

/** Behind a slash and the space around it; -1 when there is none. */
function behindSlash(text: string, at: number, end: number): number {
  const slash = skipSpace(text, at, end);
  return text.charCodeAt(slash) === 0x2f && slash < end ? skipSpace(text, slash + 1, end) : -1;
}

/** Behind `SIP/2.0/`; -1 when that is not what stands there. */
function protocolEnd(text: string, at: number, end: number): number {
  if (text.startsWith("SIP/2.0/", at)) return skipSpace(text, at + 8, end);
  const nameEnd = runEnd(text, at, end, TOKEN);
  if (text.slice(at, nameEnd).toUpperCase() !== "SIP") return -1;
  const versionAt = behindSlash(text, nameEnd, end);
  if (versionAt < 0) return -1;
  const versionEnd = runEnd(text, versionAt, end, TOKEN);
  return text.slice(versionAt, versionEnd) === "2.0" ? behindSlash(text, versionEnd, end) : -1;
}

/** The one that begins at `at`, up to a comma or the end. */
export function parseVia(text: string, at: number, end: number): Via | Malformed {
  const transportAt = protocolEnd(text, at, end);
  if (transportAt < 0) return MALFORMED;
  const transportEnd = runEnd(text, transportAt, end, TOKEN);
  const hostAt = skipSpace(text, transportEnd, end);
  if (transportEnd === transportAt || hostAt === transportEnd) return MALFORMED;
  let i = hostEnd(text, hostAt, end);
  if (i < 0) return MALFORMED;
  const host = text.slice(hostAt, i);
  let port: number | undefined;
  const colon = skipSpace(text, i, end);
  if (colon < end && text.charCodeAt(colon) === 0x3a) {
    const portAt = skipSpace(text, colon + 1, end);
    i = runEnd(text, portAt, end, DIGIT);
    port = parsePort(text.slice(portAt, i));
    if (port === undefined) return MALFORMED;
  }
  const params = parseParams(text, i, end);
  if (params === MALFORMED) return MALFORMED;
  const transport = transportName(text.slice(transportAt, transportEnd));
  return { transport, host, port, params, at, end: params.end };
}
