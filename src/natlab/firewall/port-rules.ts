/** Firewalls that look at the protocol and at the remote endpoint's port alone. */

import type { Packet } from "../packet.ts";
import { type Direction, type Firewall, passing, remoteOf } from "./firewall.ts";

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

type Ports = readonly (PortRange | number)[];

/** Ports of UDP, and ports of TCP; none of a protocol that is not named. */
export interface ProtocolPorts {
  readonly udp?: Ports;
  readonly tcp?: Ports;
}

/** Ports of either protocol, or `{ tcp: [443] }`. */
export type PortRule = PortRange | number | ProtocolPorts;

function isWithin(port: number, ranges: Ports): boolean {
  return ranges.some((range) => (typeof range === "number" ? range === port : port >= range.min && port <= range.max));
}

function matches(packet: Packet, direction: Direction, rules: readonly PortRule[]): boolean {
  const { port } = remoteOf(packet, direction);
  return rules.some((rule) => {
    const isOfEither = typeof rule === "number" || "min" in rule;
    return isWithin(port, isOfEither ? [rule] : (rule[packet.protocol] ?? []));
  });
}

/** Passes what goes to and comes from these remote ports, and no other: `onlyPorts({ tcp: [80, 443], udp: [53] })`. */
export function onlyPorts(...rules: readonly PortRule[]): Firewall {
  return passing((packet, direction) => matches(packet, direction, rules));
}

/** Passes all but what goes to and comes from these remote ports. */
export function withoutPorts(...rules: readonly PortRule[]): Firewall {
  return passing((packet, direction) => !matches(packet, direction, rules));
}

/** Passes no UDP. */
export const withoutUdp: Firewall = passing(({ protocol }) => protocol !== "udp");

/** Passes no TCP. */
export const withoutTcp: Firewall = passing(({ protocol }) => protocol !== "tcp");
