/** A host, by name or by address, and a port: in URIs and in Via. */
import { type Address, blankAddress, parseIpInto } from "../../base/address.ts";
import { DIGIT, HOST, indexWithin, isAll, runEnd } from "./characters.ts";

const scratch = blankAddress();

/** Behind the host that begins at `at`; -1 when there is none. An IPv6 address is in brackets. */
export function hostEnd(text: string, at: number, end: number): number {
  if (text.charCodeAt(at) !== 0x5b) {
    const i = runEnd(text, at, end, HOST);
    return i > at ? i : -1;
  }
  const close = indexWithin(text, 0x5d, at, Math.min(end, at + 48));
  if (close < 0) return -1;
  const literal = text.slice(at + 1, close);
  // RFC 3261 §25.1: there is no zone in IPv6reference.
  return !literal.includes("%") && parseIpv6Literal(literal, scratch) ? close + 1 : -1;
}

/** Without the brackets. */
export function parseIpv6Literal(literal: string, out: Address): boolean {
  // RFC 5118 §4.10: the grammar of RFC 3261 gives three colons before an IPv4 address: taken, never made.
  const colons = literal.indexOf(":::");
  const text = colons >= 0 && literal.includes(".", colons) ? literal.replace(":::", "::") : literal;
  return text.includes(":") && parseIpInto(text, out);
}

/** A port's number; undefined when it is none. */
export function parsePort(text: string): number | undefined {
  if (text.length > 5 || !isAll(text, DIGIT)) return undefined;
  const port = Number(text);
  return port > 0 && port <= 65535 ? port : undefined;
}
