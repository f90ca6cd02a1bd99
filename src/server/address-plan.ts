/**
 * Where clients are served, where relays are opened and what is told about them, from the configuration and what the
 * host has now. Made at start, and again whenever addresses or names change.
 */
import { type Address, type Family, formatIp, sameIp } from "../core/base/address.ts";
import { PosternError } from "../core/base/failure.ts";
import { type Prefix, parsePrefix, prefixContains } from "../core/base/prefix.ts";
import { FORBIDDEN_BY_DEFAULT } from "../core/base/special-purpose.ts";
import type { RelayAddress } from "../core/turn/server/config.ts";
import type { InterfaceAddress } from "../node/interfaces.ts";
import type { Config } from "./config/config.ts";
import type { ResolvedExternal } from "./external-address.ts";

export interface HostAddresses {
  readonly interfaces: readonly InterfaceAddress[];
  /** What the host sends from to the Internet, for each family that has a default route. */
  readonly routed: readonly Readonly<Address>[];
  readonly external: readonly ResolvedExternal[];
}

export interface AddressPlan {
  readonly listen: readonly Readonly<Address>[];
  /** In order of preference. */
  readonly relays: readonly RelayAddress[];
  /** Every address of the host. */
  readonly own: readonly Readonly<Address>[];
  /** Pairs of addresses on which NAT behaviour discovery is served: one for each family at most. */
  readonly discovery: readonly DiscoveryPair[];
}

/** What is told about each of the two is another IP address too. */
export type DiscoveryPair = readonly [RelayAddress, RelayAddress];

const linkLocal = ["169.254.0.0/16", "fe80::/10"].map((text) => parsePrefix(text) as Prefix);
const loopback = ["127.0.0.0/8", "::1"].map((text) => parsePrefix(text) as Prefix);

function isIn(prefixes: readonly Prefix[], address: Readonly<Address>): boolean {
  return prefixes.some((prefix) => prefixContains(prefix, address));
}

export function isLoopback(address: Readonly<Address>): boolean {
  return isIn(loopback, address);
}

/** Whether only neighbours on the link reach it. */
export function isLinkLocal(address: Readonly<Address>): boolean {
  return isIn(linkLocal, address);
}

/** Throws `PosternError` `external-ambiguous` or `external-unknown`. */
export function planAddresses(config: Config, host: HostAddresses): AddressPlan {
  const own = host.interfaces.map(({ address }) => address);
  const listen = config.listen.length > 0 ? config.listen : own;
  const chosen = config.relayAddresses.length > 0;
  const bound = chosen ? config.relayAddresses : relayable(listen, host.routed);
  const relays = advertise(bound, chosen, host.external);
  return { listen, own, relays, discovery: config.natDiscovery === "off" ? [] : pairs(config, listen, relays) };
}

/** The first two of each family that clients elsewhere can tell apart; those that nobody named must be public. */
function pairs(
  config: Config,
  listen: readonly Readonly<Address>[],
  relays: readonly RelayAddress[],
): readonly DiscoveryPair[] {
  const told = listen.map(
    (bound) => relays.find((relay) => sameIp(relay.bound, bound)) ?? { bound, advertised: bound },
  );
  const usable = told.filter(({ advertised }) => config.listen.length > 0 || !isIn(FORBIDDEN_BY_DEFAULT, advertised));
  return ([4, 6] as const).flatMap((family) => {
    const [first, ...others] = usable.filter(({ bound }) => bound.family === family);
    const second = others.find(({ advertised }) => first !== undefined && !sameIp(advertised, first.advertised));
    return first === undefined || second === undefined ? [] : [[first, second] as const];
  });
}

/** Reachable from elsewhere where there is such an address, the one with the default route first. */
function relayable(from: readonly Readonly<Address>[], routed: HostAddresses["routed"]): Readonly<Address>[] {
  const far = from.filter((address) => !isLoopback(address) && !isLinkLocal(address));
  const usable = far.length > 0 ? far : from.filter(isLoopback);
  const isRouted = (address: Readonly<Address>) => routed.some((one) => sameIp(one, address));
  return [...usable.filter(isRouted), ...usable.filter((address) => !isRouted(address))];
}

function advertise(
  bound: readonly Readonly<Address>[],
  chosen: boolean,
  external: readonly ResolvedExternal[],
): RelayAddress[] {
  for (const { bound: inside } of external) {
    if (inside === undefined || bound.some((address) => sameIp(address, inside))) continue;
    throw new PosternError(
      "external-unknown",
      `external-address names ${formatIp(inside)}, at which nothing is relayed: correct it, or add it to relay-addresses.`,
    );
  }
  const relays = bound.map((address) => ({ bound: address, advertised: outsideOf(address, external) }));
  const plain = ([4, 6] as const).flatMap((family) => plainFor(family, external) ?? []);
  return plain.reduce((all, outside) => advertisePlain(all, outside, chosen), relays).map(settle);
}

interface Pairing {
  readonly bound: Readonly<Address>;
  readonly advertised: Readonly<Address> | undefined;
}

function settle({ bound, advertised }: Pairing): RelayAddress {
  return { bound, advertised: advertised ?? bound };
}

function outsideOf(address: Readonly<Address>, external: readonly ResolvedExternal[]): Readonly<Address> | undefined {
  return external.find(({ bound }) => bound !== undefined && sameIp(bound, address))?.advertised;
}

function plainFor(family: Family, external: readonly ResolvedExternal[]): Readonly<Address> | undefined {
  return external.find(({ bound, advertised }) => bound === undefined && advertised.family === family)?.advertised;
}

/** One outside belongs to one inside: two relays behind one external address would share its ports. */
function advertisePlain(pairings: Pairing[], outside: Readonly<Address>, chosen: boolean): Pairing[] {
  const open = pairings.filter((one) => one.bound.family === outside.family && one.advertised === undefined);
  if (chosen && open.length > 1) {
    const first = formatIp((open[0] as Pairing).bound);
    throw new PosternError(
      "external-ambiguous",
      `${formatIp(outside)} cannot be the outside of ${open.length} relay addresses: write pairs such as ${first}=${formatIp(outside)}.`,
    );
  }
  return pairings.flatMap((one) => {
    if (!open.includes(one)) return [one];
    return one === open[0] ? [{ ...one, advertised: outside }] : [];
  });
}
