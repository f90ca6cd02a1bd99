/**
 * Whom a client may reach through us: decided once for an address when a permission or a channel is made, and again
 * for every Send. Denied unless it is an ordinary Internet address or the operator allowed it. The host's own addresses
 * are never reached through a socket, but a live allocation at one of our relayed addresses is (`media.ts`).
 */
import { type Address, blankAddress, sameIp } from "../../base/address.ts";
import { anyPrefixContains, type Prefix, prefixContains } from "../../base/prefix.ts";
import { ALWAYS_FORBIDDEN, FORBIDDEN_BY_DEFAULT, GLOBAL_IPV6 } from "../../base/special-purpose.ts";
import type { PeerPolicy, RelayAddress } from "./config.ts";

/** `own`: one of our relayed transport addresses' IPs, good for hand-over to a live allocation and nothing else. */
export type PeerVerdict = "open" | "own" | "forbidden";

const embedded: Address = blankAddress();

/**
 * The IPv4 address that an IPv6 address carries, if it is of a form that carries one: NAT64 (RFC 6052), 6to4
 * (RFC 3056), Teredo (RFC 4380), ISATAP (RFC 5214), IPv4-translated (RFC 2765), IPv4-mapped and IPv4-compatible
 * (RFC 4291). Reused storage.
 */
export function embeddedIpv4(a: Readonly<Address>): Readonly<Address> | undefined {
  if (a.family !== 6) return undefined;
  const word = embeddedWord(a);
  if (word === undefined) return undefined;
  embedded.w3 = word;
  return embedded;
}

function embeddedWord(a: Readonly<Address>): number | undefined {
  if (a.w0 === 0 && a.w1 === 0 && (a.w2 === 0 || a.w2 === 0xffff || a.w2 >>> 0 === 0xffff0000)) return a.w3;
  if (a.w0 === 0x0064ff9b && a.w1 === 0 && a.w2 === 0) return a.w3;
  if (a.w0 >>> 16 === 0x2002) return (a.w0 << 16) | (a.w1 >>> 16);
  if (a.w0 === 0x20010000) return ~a.w3;
  if ((a.w2 & 0xfdffffff) === 0x00005efe) return a.w3;
  return undefined;
}

/** Bits of the prefix in front of an embedded IPv4 address. */
function embeddingLength(a: Readonly<Address>): number {
  return a.w0 >>> 16 === 0x2002 ? 16 : a.w0 === 0x20010000 ? 32 : 96;
}

export class PeerGate {
  readonly #policy: PeerPolicy;
  readonly #allowedHost: readonly Prefix[];
  #relays: readonly RelayAddress[];
  #own: readonly Readonly<Address>[];

  constructor(policy: PeerPolicy, relays: readonly RelayAddress[], own: readonly Readonly<Address>[]) {
    this.#policy = policy;
    this.#allowedHost = policy.allow.filter(namesTheHost);
    this.#relays = relays;
    this.#own = own;
  }

  setAddresses(relays: readonly RelayAddress[], own: readonly Readonly<Address>[]): void {
    this.#relays = relays;
    this.#own = own;
  }

  allowsPort(port: number): boolean {
    const { ports } = this.#policy;
    return port !== 0 && (ports === undefined || (port >= ports.min && port <= ports.max));
  }

  /** The verdict on an IP address; the port is not looked at. */
  judge(peer: Readonly<Address>): PeerVerdict {
    if (this.#isRelay(peer)) return "own";
    return this.isOpen(peer) ? "open" : "forbidden";
  }

  /** Whether a socket may send to this address and hear from it. */
  isOpen(peer: Readonly<Address>): boolean {
    if (this.isOwn(peer)) return anyPrefixContains(this.#allowedHost, peer);
    if (anyPrefixContains(ALWAYS_FORBIDDEN, peer)) return false;
    const inner = embeddedIpv4(peer);
    if (inner !== undefined && (this.isOwn(inner) || anyPrefixContains(ALWAYS_FORBIDDEN, inner))) return false;
    const innerIsOrdinary = inner === undefined || this.#isOrdinary(inner);
    // A wide exception, ::/0 say, does not reach what is forbidden inside an embedding: that has to be meant.
    const least = innerIsOrdinary ? 0 : embeddingLength(peer);
    if (this.#policy.allow.some((prefix) => prefix.length >= least && prefixContains(prefix, peer))) return true;
    return innerIsOrdinary && this.#isOrdinary(peer);
  }

  /** An address of the Internet that nobody has denied. */
  #isOrdinary(a: Readonly<Address>): boolean {
    if (a.family === 6 && !anyPrefixContains(GLOBAL_IPV6, a)) return false;
    return !anyPrefixContains(FORBIDDEN_BY_DEFAULT, a) && !anyPrefixContains(this.#policy.deny, a);
  }

  #isRelay(a: Readonly<Address>): boolean {
    for (const relay of this.#relays) if (sameIp(relay.advertised, a) || sameIp(relay.bound, a)) return true;
    return false;
  }

  /** Whether this is an address of the host, bound or advertised. */
  isOwn(a: Readonly<Address>): boolean {
    if (this.#isRelay(a) || isLoopback6(a) || (a.family === 4 && a.w3 >>> 24 === 127)) return true;
    for (const own of this.#own) if (sameIp(own, a)) return true;
    return false;
  }
}

function isLoopback6(a: Readonly<Address>): boolean {
  return a.family === 6 && a.w0 === 0 && a.w1 === 0 && a.w2 === 0 && a.w3 === 1;
}

/**
 * Whether an exception is meant for the host itself: it names one address, or lies inside the loopback block. A wider
 * one, say for the local network, does not open the host's own services.
 */
function namesTheHost(prefix: Prefix): boolean {
  const { address, length } = prefix;
  if (address.family === 6) return length === 128;
  return length === 32 || (length >= 8 && address.w3 >>> 24 === 127);
}
