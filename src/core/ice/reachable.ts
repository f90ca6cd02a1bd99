/** Which addresses of the peer's may be sent to from where, whatever it tells. */
import type { Address } from "../base/address.ts";
import { anyPrefixContains, type Prefix, parsePrefix } from "../base/prefix.ts";
import type { Base } from "./base.ts";

const prefixes = (...texts: string[]): Prefix[] => texts.map((text) => parsePrefix(text) as Prefix);

/** Nobody's, or everybody's: unspecified, multicast, reserved. RFC 8445 §5.1.1.1: and no IPv4 in the form of IPv6. */
const NEVER = prefixes("0.0.0.0/8", "224.0.0.0/3", "::/128", "::ffff:0:0/96", "ff00::/8");
const LINK_LOCAL = prefixes("fe80::/10");

function areAlike(range: readonly Prefix[], one: Readonly<Address>, other: Readonly<Address>): boolean {
  return anyPrefixContains(range, one) === anyPrefixContains(range, other);
}

/** What a relay reaches is for the relay to say, but for what is no address of one host. */
export function mayReach({ address }: Base, remote: Readonly<Address>): boolean {
  if (address.family !== remote.family || anyPrefixContains(NEVER, remote)) return false;
  // RFC 8445 §6.1.2.2: link-local addresses meet none but their like.
  return areAlike(LINK_LOCAL, address, remote);
}
