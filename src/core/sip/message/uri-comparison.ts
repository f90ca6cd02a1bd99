/** Whether two URIs name the same (RFC 3261 §19.1.4, RFC 5954 §4 for IPv6 addresses, RFC 3966 §4 for numbers). */
import { blankAddress, sameIp } from "../../base/address.ts";
import { parseIpv6Literal } from "./host.ts";
import type { Params } from "./params.ts";
import { isSipUri, isTelUri, type SipUri, type TelUri, type Uri } from "./uri.ts";

const RESERVED = ";/?:@&=+$,%";

/** RFC 3261 §19.1.4: a character and its escape are the same, but where it could be syntax. */
function normalized(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/%[0-9a-fA-F]{2}/g, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return RESERVED.includes(character) ? triplet.toUpperCase() : character;
  });
}

/** What `text` says, escapes resolved. */
export function unescaped(text: string): string {
  return text.replace(/%[0-9a-fA-F]{2}/g, (triplet) => String.fromCharCode(Number.parseInt(triplet.slice(1), 16)));
}

function isSame(a: string | undefined, b: string | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && normalized(a) === normalized(b));
}

function isSameInAnyCase(a: string | undefined, b: string | undefined): boolean {
  return isSame(a?.toLowerCase(), b?.toLowerCase());
}

const [first, second] = [blankAddress(), blankAddress()];

export function isSameHost(a: string, b: string): boolean {
  if (!a.startsWith("[") || !b.startsWith("[")) return a.toLowerCase() === b.toLowerCase();
  const areBoth = parseIpv6Literal(a.slice(1, -1), first) && parseIpv6Literal(b.slice(1, -1), second);
  return areBoth && sameIp(first, second);
}

/** RFC 3261 §19.1.4: these make a difference also where only one URI has them. */
const COMPARED_ALWAYS = ["user", "ttl", "method", "maddr", "transport"];

function haveSameSipParams(a: Params, b: Params): boolean {
  for (const { name, text } of a) if (b.has(name) && !isSameInAnyCase(text, b.find(name)?.text)) return false;
  return COMPARED_ALWAYS.every((name) => a.has(name) === b.has(name));
}

function haveSameHeaders(a: SipUri, b: SipUri): boolean {
  const key = ({ headers }: SipUri): string =>
    headers
      .map(([name, value]) => `${normalized(name).toLowerCase()}=${normalized(value)}`)
      .sort()
      .join("&");
  return a.headers.length === b.headers.length && key(a) === key(b);
}

function isSameSip(a: SipUri, b: SipUri): boolean {
  return (
    a.scheme === b.scheme &&
    a.port === b.port &&
    isSame(a.user, b.user) &&
    isSame(a.password, b.password) &&
    isSameHost(a.host, b.host) &&
    haveSameSipParams(a.params, b.params) &&
    haveSameHeaders(a, b)
  );
}

function isSameTel(a: TelUri, b: TelUri): boolean {
  const digits = (number: string): string => number.replace(/[-.()]/g, "").toLowerCase();
  if (digits(a.number) !== digits(b.number) || a.params.size !== b.params.size) return false;
  for (const { name, text } of a.params) {
    if (!b.params.has(name) || !isSameInAnyCase(text, b.params.find(name)?.text)) return false;
  }
  return true;
}

export function isSameUri(a: Uri, b: Uri): boolean {
  if (isTelUri(a)) return isTelUri(b) && isSameTel(a, b);
  if (isSipUri(a)) return isSipUri(b) && isSameSip(a, b);
  return !isTelUri(b) && !isSipUri(b) && a.text === b.text;
}
