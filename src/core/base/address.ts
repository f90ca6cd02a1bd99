/**
 * Transport addresses as integers. An address is four 32-bit words (IPv4 uses the last; the rest is zero) and a port,
 * so that the hot path compares numbers and hashes without a string. `Address` values that are kept are frozen by
 * convention; a `Readonly<Address>` handed to a `handle*` call is borrowed until the call returns: `copyAddress` keeps it.
 */

export type Family = 4 | 6;

export interface Address {
  family: Family;
  /**
   * 32-bit words in network order, as signed integers, which take no room beside the object; IPv4 is `w3` alone.
   */
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  port: number;
  /** The IP literal, IPv6 zone included, once somebody has needed it; else "". It takes no part in comparison. */
  text: string;
}

declare const client: unique symbol;
declare const peer: unique symbol;

/** The address of a TURN client as the server sees it. */
export type ClientAddress = Readonly<Address> & { readonly [client]?: true };
/** The address of a peer, on the far side of a relay. */
export type PeerAddress = Readonly<Address> & { readonly [peer]?: true };

export function blankAddress(): Address {
  return { family: 4, w0: 0, w1: 0, w2: 0, w3: 0, port: 0, text: "" };
}

export function ipv4(w3: number, port: number): Address {
  return { family: 4, w0: 0, w1: 0, w2: 0, w3: w3 | 0, port, text: "" };
}

export function copyAddress(a: Readonly<Address>): Address {
  return { family: a.family, w0: a.w0, w1: a.w1, w2: a.w2, w3: a.w3, port: a.port, text: a.text };
}

export function assignAddress(to: Address, from: Readonly<Address>): void {
  to.family = from.family;
  to.w0 = from.w0;
  to.w1 = from.w1;
  to.w2 = from.w2;
  to.w3 = from.w3;
  to.port = from.port;
  to.text = from.text;
}

/** Same IP address; ports are not compared. */
export function sameIp(a: Readonly<Address>, b: Readonly<Address>): boolean {
  return a.w3 === b.w3 && a.w2 === b.w2 && a.w1 === b.w1 && a.w0 === b.w0 && a.family === b.family;
}

export function sameAddress(a: Readonly<Address>, b: Readonly<Address>): boolean {
  return a.port === b.port && sameIp(a, b);
}

function mix(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x9e3779b1);
  return h ^ (h >>> 15);
}

/** A 32-bit hash of the IP address, spread by `seed`. Collisions can be found; what hangs on a slot must be bounded. */
export function hashIp(a: Readonly<Address>, seed: number): number {
  let h = mix(seed, a.w3);
  if (a.family === 6) h = mix(mix(mix(h, a.w2), a.w1), a.w0) ^ 6;
  return mix(h, seed);
}

/** A 32-bit hash of IP address and port. */
export function hashAddress(a: Readonly<Address>, seed: number): number {
  return mix(hashIp(a, seed), a.port);
}

const ZERO = 0x30;
const DOT = 0x2e;

/** Parses dotted decimal into `out.w3`; false when `text` is anything else. Leading zeros are refused. */
function parseIpv4(text: string, from: number, out: Address): boolean {
  let word = 0;
  let octets = 0;
  let value = -1;
  const n = text.length;
  for (let i = from; i <= n; i++) {
    const c = i < n ? text.charCodeAt(i) : DOT;
    if (c === DOT) {
      if (value < 0) return false;
      word = (word << 8) | value;
      octets++;
      value = -1;
      if (octets > 4) return false;
    } else {
      const digit = c - ZERO;
      if (digit < 0 || digit > 9 || value === 0) return false;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > 255) return false;
    }
  }
  if (octets !== 4) return false;
  out.family = 4;
  out.w0 = 0;
  out.w1 = 0;
  out.w2 = 0;
  out.w3 = word;
  out.text = "";
  return true;
}

function hexDigit(c: number): number {
  if (c >= ZERO && c <= 0x39) return c - ZERO;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** What names an interface: visible ASCII, but for what ends an address in a URI or a prefix. */
const ZONE = /^[!-$&-.0-Z^-~]{1,64}$/;

const groups = new Uint16Array(8);
const embedded: Address = blankAddress();

/** Parses an IPv6 literal, zone allowed; false when `text` is anything else. */
function parseIpv6(text: string, out: Address): boolean {
  const percent = text.indexOf("%");
  const end = percent < 0 ? text.length : percent;
  if (percent >= 0 && !ZONE.test(text.slice(percent + 1))) return false;
  groups.fill(0);
  let count = 0;
  let gap = -1;
  let i = 0;
  if (text.startsWith("::")) {
    gap = 0;
    i = 2;
  }
  while (i < end) {
    if (count === 8) return false;
    let value = 0;
    const start = i;
    for (; i < end; i++) {
      const digit = hexDigit(text.charCodeAt(i));
      if (digit < 0) break;
      value = (value << 4) | digit;
      if (i - start >= 4) return false;
    }
    if (i < end && text.charCodeAt(i) === DOT) {
      if (count > 6 || !parseIpv4(percent < 0 ? text : text.slice(0, end), start, embedded)) return false;
      groups[count++] = embedded.w3 >>> 16;
      groups[count++] = embedded.w3 & 0xffff;
      i = end;
      break;
    }
    if (i === start) return false;
    groups[count++] = value;
    if (i === end) break;
    if (text.charCodeAt(i) !== 0x3a) return false;
    i++;
    if (i === end) return false;
    if (text.charCodeAt(i) === 0x3a) {
      if (gap >= 0) return false;
      gap = count;
      i++;
    }
  }
  if (gap < 0 ? count !== 8 : count > 7) return false;
  if (gap >= 0) {
    groups.copyWithin(8 - (count - gap), gap, count);
    groups.fill(0, gap, 8 - (count - gap));
  }
  const g = groups as unknown as readonly [number, number, number, number, number, number, number, number];
  out.family = 6;
  out.w0 = (g[0] << 16) | g[1];
  out.w1 = (g[2] << 16) | g[3];
  out.w2 = (g[4] << 16) | g[5];
  out.w3 = (g[6] << 16) | g[7];
  out.text = percent < 0 ? "" : text;
  return true;
}

/** Writes the IP literal `text` into `out`, leaving `port` alone; false, and `out` undefined, when it is not one. */
export function parseIpInto(text: string, out: Address): boolean {
  return text.includes(":") ? parseIpv6(text, out) : parseIpv4(text, 0, out);
}

/** Parses an IP literal; undefined when `text` is not one. */
export function parseIp(text: string, port = 0): Address | undefined {
  const out = blankAddress();
  if (!parseIpInto(text, out)) return undefined;
  out.port = port;
  return out;
}

function formatIpv4(w3: number): string {
  return `${w3 >>> 24}.${(w3 >>> 16) & 255}.${(w3 >>> 8) & 255}.${w3 & 255}`;
}

function formatIpv6(a: Readonly<Address>): string {
  // RFC 5952 §5: an IPv4-mapped address shows its IPv4 address.
  if (a.w0 === 0 && a.w1 === 0 && a.w2 === 0xffff) return `::ffff:${formatIpv4(a.w3)}`;
  const parts = [a.w0 >>> 16, a.w0 & 0xffff, a.w1 >>> 16, a.w1 & 0xffff, a.w2 >>> 16, a.w2 & 0xffff, a.w3 >>> 16];
  parts.push(a.w3 & 0xffff);
  // RFC 5952 §4.2: the longest run of two or more zero groups, the first of equals, is shortened.
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    let j = i;
    while (j < 8 && parts[j] === 0) j++;
    if (j - i > bestLength) {
      best = i;
      bestLength = j - i;
    }
    i = Math.max(j, i + 1);
  }
  const hex = (from: number, to: number): string =>
    parts
      .slice(from, to)
      .map((p) => p.toString(16))
      .join(":");
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}

/** The IP address as text, RFC 5952 form for IPv6, with its zone where one is known. */
export function formatIp(a: Readonly<Address>): string {
  if (a.text !== "") return a.text;
  return a.family === 6 ? formatIpv6(a) : formatIpv4(a.w3);
}

/** `192.0.2.1:3478` or `[2001:db8::1]:3478`. */
export function formatAddress(a: Readonly<Address>): string {
  return a.family === 6 ? `[${formatIp(a)}]:${a.port}` : `${formatIp(a)}:${a.port}`;
}
