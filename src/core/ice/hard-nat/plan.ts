/** Who does what, from how both NATs were seen to assign ports; the peer comes to the same conclusion about its part. */
import { type Address, copyAddress, sameIp } from "../../base/address.ts";
import type { Random } from "../../base/ports.ts";
import { guesses, type PortRange, PREDICTED, predictedPort, rangeOf } from "./guesses.ts";
import type { Translation } from "./translation.ts";

/** Sockets that are opened for it, at most. */
export const MAX_SOCKETS = 256;
/** Ports that are guessed, at most. */
export const MAX_GUESSES = 1_024;

/** One probe from each of many sockets to one address, so that the NAT opens as many ports. */
export interface Opening {
  readonly part: "open";
  readonly to: Readonly<Address>;
  readonly sockets: number;
}

/** One probe to each of many ports, from the socket that the peer knows. */
export interface Guessing {
  readonly part: "guess";
  readonly ip: Readonly<Address>;
  /** From what those that cannot be predicted are drawn. */
  readonly range: PortRange;
  readonly ports: Iterator<number, void>;
}

export type Plan = Opening | Guessing;

/** Undefined: nothing of this kind helps, or nothing is needed. */
export function planFor(own: Translation, peer: Translation, random: Random): Plan | undefined {
  // Behind one NAT it is hairpinning that decides.
  if (sameIp(own.seen, peer.seen)) return undefined;
  if (own.isByDestination && peer.isByDestination) return meeting(own, peer);
  if (own.isByDestination) return { part: "open", to: peer.seen, sockets: MAX_SOCKETS };
  if (!peer.isByDestination) return undefined;
  const range = rangeOf(peer);
  return { part: "guess", ip: peer.seen, range, ports: guesses(peer, range, random) };
}

/** How far ahead of the last port that was seen the two meet. */
const AHEAD = 20;

/**
 * Both NATs count: each side opens a run of ports toward a single one that the other's run will come to. Where the runs
 * contain both, the two sockets that have them reach each other. If one of them draws its ports, nothing helps.
 */
function meeting(own: Translation, peer: Translation): Plan | undefined {
  if (own.step === undefined || peer.step === undefined) return undefined;
  const to = copyAddress(peer.seen);
  to.port = predictedPort(peer, AHEAD);
  return { part: "open", to, sockets: PREDICTED };
}
