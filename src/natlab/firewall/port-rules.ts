/** Firewalls that look at the remote endpoint's port alone. */
import { type Firewall, remoteOf } from "./firewall.ts";

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

function isWithin(port: number, ranges: readonly (PortRange | number)[]): boolean {
  return ranges.some((range) => (typeof range === "number" ? range === port : port >= range.min && port <= range.max));
}

/** Passes UDP to and from these remote ports, and no other. */
export function onlyPorts(...ports: readonly (PortRange | number)[]): Firewall {
  return { passes: (packet, direction) => isWithin(remoteOf(packet, direction).port, ports) };
}

/** Passes UDP but to and from these remote ports. */
export function withoutPorts(...ports: readonly (PortRange | number)[]): Firewall {
  return { passes: (packet, direction) => !isWithin(remoteOf(packet, direction).port, ports) };
}

/** Passes no UDP. */
export const withoutUdp: Firewall = { passes: () => false };
