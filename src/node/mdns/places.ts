/** Where mDNS is spoken: on each interface, over each family that it has an address of. */
import { networkInterfaces } from "node:os";
import type { Address, Family } from "../../core/base/address.ts";
import { anyPrefixContains, type Prefix, parsePrefix } from "../../core/base/prefix.ts";

export interface Place {
  /** The interface, such as `eth0`. */
  readonly name: string;
  readonly family: Family;
  /** One of its addresses. */
  readonly address: string;
  /** What its neighbours' addresses begin with. */
  readonly prefixes: readonly Prefix[];
}

/** Hosts of containers have hundreds of interfaces. */
const MAX_PLACES = 16;

/** `interfaces`: the names of those that may be used; undefined: all but those that only this host can reach. */
export function placesOf(interfaces: readonly string[] | undefined): Place[] {
  const isUsable = (name: string, isInternal: boolean): boolean =>
    interfaces === undefined ? !isInternal : interfaces.includes(name);
  const found = Object.entries(networkInterfaces()).flatMap(([name, entries = []]) => {
    const usable = entries.filter(({ internal, cidr }) => isUsable(name, internal) && cidr !== null);
    return ([4, 6] as const).flatMap((family): Place[] => {
      const own = usable.filter((entry) => entry.family === `IPv${family}`);
      // An interface that has but a link-local address has no candidate either.
      const routed = own.find(({ address }) => !/^fe[89ab]/i.test(address));
      const prefixes = own.flatMap(({ cidr }) => parsePrefix(cidr as string) ?? []);
      return routed === undefined ? [] : [{ name, family, address: routed.address, prefixes }];
    });
  });
  return found.slice(0, MAX_PLACES);
}

/** RFC 6762 §11: what comes from elsewhere than this link is ignored. */
export function isNeighbour({ name, family, prefixes }: Place, from: Readonly<Address>): boolean {
  const zone = from.text.split("%")[1];
  if (from.family !== family || (zone !== undefined && zone !== name)) return false;
  return anyPrefixContains(prefixes, from);
}

const IMPOSSIBLE: readonly Prefix[] = [
  ...["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"],
].flatMap((text) => parsePrefix(text) ?? []);

/**
 * Whether a neighbour may say that a host of this link is there. That it names this host itself would turn our checks
 * against services that trust it; link-local addresses of IPv6 mean nothing without a zone.
 */
export function isPossible(address: Readonly<Address>): boolean {
  return !anyPrefixContains(IMPOSSIBLE, address);
}
