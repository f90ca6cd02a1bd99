/**
 * Which addresses are a party's. Its description is believed where it names a public address; where it names a private
 * one, or a host, the address that its signaling has proven counts in its place; a trunk's ranges count beside both. An
 * address of our own, or one that is nobody's, is never sent to because a description says so.
 */
import { type Address, sameIp } from "../base/address.ts";
import { anyPrefixContains, type Prefix, parsePrefix } from "../base/prefix.ts";
import { ALWAYS_FORBIDDEN } from "../base/special-purpose.ts";
import type { Place } from "../call/description.ts";
import type { LegParty } from "./leg.ts";

/** What means something on its own network alone. */
const PRIVATE: readonly Prefix[] = [
  "10.0.0.0/8", // RFC 1918
  "100.64.0.0/10", // RFC 6598: shared address space
  "127.0.0.0/8", // RFC 1122: loopback
  "168.63.129.16/32", // no registry's: a large cloud's name server and metadata
  "169.254.0.0/16", // RFC 3927: link local
  "172.16.0.0/12", // RFC 1918
  "192.0.0.0/24", // RFC 6890: protocol assignments
  "192.168.0.0/16", // RFC 1918
  "198.18.0.0/15", // RFC 2544: benchmarking
  "240.0.0.0/4", // RFC 1112: reserved
  "2001::/32", // RFC 4380: Teredo, which carries an IPv4 address
  "2002::/16", // RFC 3056: 6to4, which does too
].map((text) => parsePrefix(text) as Prefix);

/** RFC 4291 §2.4: what IANA has opened of IPv6. */
const GLOBAL_IPV6: readonly Prefix[] = [parsePrefix("2000::/3") as Prefix];

/** Ports below belong to services: a description that names one gets nothing there. */
const LEAST_PORT = 1024;

export function isPublic(a: Readonly<Address>): boolean {
  if (a.family === 6 && !anyPrefixContains(GLOBAL_IPV6, a)) return false;
  return !anyPrefixContains(PRIVATE, a) && !anyPrefixContains(ALWAYS_FORBIDDEN, a);
}

function isOwn(a: Readonly<Address>, own: readonly Readonly<Address>[]): boolean {
  return own.some((one) => sameIp(one, a));
}

/** The address that a party's packets come from. */
export function sourceOf(
  place: Place | undefined,
  { proven }: LegParty,
  own: readonly Readonly<Address>[],
): Readonly<Address> | undefined {
  const said = place?.address;
  return said !== undefined && isPublic(said) && !isOwn(said, own) ? said : proven;
}

/** Where the party may be sent to before it was heard. */
export function signaledOf(
  place: Place | undefined,
  { proven, ranges }: LegParty,
  own: readonly Readonly<Address>[],
): Readonly<Address> | undefined {
  const said = place?.address;
  if (said === undefined || said.port < LEAST_PORT || anyPrefixContains(ALWAYS_FORBIDDEN, said)) return undefined;
  if (proven !== undefined && sameIp(proven, said)) return said;
  if (isOwn(said, own)) return undefined;
  return isPublic(said) || anyPrefixContains(ranges, said) ? said : undefined;
}

/** Whether a packet from this address may be the party's. */
export function isPartys(
  from: Readonly<Address>,
  source: Readonly<Address> | undefined,
  ranges: readonly Prefix[],
): boolean {
  return (source !== undefined && sameIp(source, from)) || anyPrefixContains(ranges, from);
}
