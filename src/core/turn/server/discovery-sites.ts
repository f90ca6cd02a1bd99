/**
 * Where NAT behaviour discovery is served (RFC 5780 §6): squares of two IP addresses by two ports, each corner one
 * listener. An answer that must come from elsewhere leaves by another corner of the square.
 */
import type { Address } from "../../base/address.ts";
import type { Instant } from "../../base/machine.ts";
import { SourceBudget } from "../../base/source-budget.ts";

export interface DiscoverySocket {
  /** The `listener` of the `ClientPath`s through it. */
  readonly listener: number;
  readonly bound: Readonly<Address>;
  /** What clients are told: the same, or the outside of a 1:1 NAT. */
  readonly advertised: Readonly<Address>;
}

/** Two IP addresses, each with its socket at the one port and at the other. All are of one family and transport. */
export type DiscoverySquare = readonly [
  readonly [DiscoverySocket, DiscoverySocket],
  readonly [DiscoverySocket, DiscoverySocket],
];

/** One corner, and so what is other than it. */
export interface DiscoverySite {
  readonly square: DiscoverySquare;
  readonly ip: 0 | 1;
  readonly port: 0 | 1;
}

/**
 * Answers per second to one source that leave by another socket, go to another port, or are padded; burst: twice. One
 * client needs two dozen in its first two seconds; what a third party can be made to receive stays a trickle.
 */
const REFLECTIONS_PER_SECOND = 20;

export class DiscoverySites {
  readonly #sites: Map<number, DiscoverySite> = new Map();
  readonly #seed: number;
  readonly #spent: Int32Array | undefined;
  #budget: SourceBudget | undefined;

  /** `spent`: where reflections are counted for several servers together. */
  constructor(seed: number, spent?: Int32Array) {
    this.#seed = seed;
    this.#spent = spent;
  }

  set(squares: readonly DiscoverySquare[]): void {
    this.#sites.clear();
    for (const square of squares) {
      for (const ip of [0, 1] as const) {
        for (const port of [0, 1] as const) this.#sites.set(square[ip][port].listener, { square, ip, port });
      }
    }
    if (squares.length > 0)
      this.#budget ??= new SourceBudget(REFLECTIONS_PER_SECOND, this.#seed, undefined, this.#spent);
  }

  find(listener: number): DiscoverySite | undefined {
    return this.#sites.get(listener);
  }

  /** Counts one reflected answer against the source; false when it is over budget. */
  takeReflection(from: Readonly<Address>, now: Instant): boolean {
    return this.#budget?.take(from, now) ?? false;
  }
}

/** The corner at the same or the other IP address, and at the same or the other port. */
export function cornerOf(site: DiscoverySite, changeIp: boolean, changePort: boolean): DiscoverySocket {
  const row = site.square[changeIp ? other(site.ip) : site.ip];
  return row[changePort ? other(site.port) : site.port];
}

function other(index: 0 | 1): 0 | 1 {
  return index === 0 ? 1 : 0;
}
