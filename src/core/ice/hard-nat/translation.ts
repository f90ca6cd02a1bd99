/**
 * How a socket's NAT was seen to assign ports, from its server-reflexive candidates alone. An agent's own and its peer's are
 * looked at in the same way, so that both know who has which part, without telling each other more than ICE does.
 */
import { type Address, sameAddress, sameIp } from "../../base/address.ts";
import type { Candidate } from "../candidate.ts";
import { mayBePublic } from "./public-address.ts";

/** Ports that lie further apart were drawn, and not counted. */
const LONGEST_STEP = 16;

export interface Translation {
  /** The socket, as its host knows it. */
  readonly socket: Readonly<Address>;
  /** Its best candidate. */
  readonly seen: Readonly<Address>;
  /** In the order of the servers. */
  readonly ports: readonly number[];
  /** Every destination is given another port. */
  readonly isByDestination: boolean;
  /** From one port to the next; undefined: they are not counted up or down, as far as can be seen. */
  readonly step: number | undefined;
}

/** Of the component's best server-reflexive candidate, and those of the same socket. */
export function translationOf(candidates: readonly Candidate[], component: number): Translation | undefined {
  const reflexive = candidates
    .filter((one) => one.type === "srflx" && one.component === component && mayBePublic(one.address))
    .filter(({ related }) => related !== undefined && related.port !== 0)
    // The first servers' have the higher priorities.
    .sort((a, b) => b.priority - a.priority);
  const [best] = reflexive;
  if (best === undefined) return undefined;
  const socket = best.related as Readonly<Address>;
  const ports = reflexive
    .filter(
      ({ related, address }) => sameAddress(related as Readonly<Address>, socket) && sameIp(address, best.address),
    )
    .map(({ address }) => address.port);
  const isByDestination = ports.length > 1;
  return { socket, seen: best.address, ports, isByDestination, step: stepOf(ports) };
}

/** Sockets beside this one take ports in between, so that the step may be seen larger than it is. */
function stepOf(ports: readonly number[]): number | undefined {
  const steps = ports.slice(1).map((port, i) => port - (ports[i] as number));
  const [first] = steps;
  if (first === undefined) return undefined;
  const isCounted = steps.every((step) => Math.sign(step) === Math.sign(first) && Math.abs(step) <= LONGEST_STEP);
  return isCounted ? steps.reduce((least, step) => (Math.abs(step) < Math.abs(least) ? step : least)) : undefined;
}
