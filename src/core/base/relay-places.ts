/**
 * Ports of relayed transport addresses: which are taken on each relay address, and which to try next. Ports are chosen
 * at random, so that nobody can guess the next one (RFC 8656 §7.2 leaves the choice open; RFC 6056 says why).
 */
import { type Address, sameIp } from "./address.ts";
import type { Random } from "./ports.ts";
import { randomBelow } from "./random.ts";

/** An address on which ports are opened for others' packets. Its own port is ignored. */
export interface RelayAddress {
  /** What the socket binds to. */
  readonly bound: Readonly<Address>;
  /** What clients and peers are told: the same, or the outside of a 1:1 NAT. Of the same family. */
  readonly advertised: Readonly<Address>;
}

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

/** `pair`: an even port whose successor is reserved too (RFC 8656 §7.2). */
export type PortParity = "any" | "even" | "pair" | "successor";

/** One relay address and its ports. */
export class RelayPlace {
  readonly address: RelayAddress;
  readonly #range: PortRange;
  readonly #taken: Uint8Array;

  constructor(address: RelayAddress, range: PortRange) {
    this.address = address;
    this.#range = range;
    this.#taken = new Uint8Array(range.max - range.min + 1);
  }

  isTaken(port: number): boolean {
    return this.#taken[port - this.#range.min] !== 0;
  }

  /** Takes one port; false when it is taken or out of range. */
  takePort(port: number): boolean {
    if (port < this.#range.min || port > this.#range.max || this.isTaken(port)) return false;
    this.#taken[port - this.#range.min] = 1;
    return true;
  }

  giveBack(port: number): void {
    this.#taken[port - this.#range.min] = 0;
  }

  /** Takes a free port, from a random start; undefined when there is none. For `pair` its successor is free too. */
  take(random: Random, parity: PortParity): number | undefined {
    const { min, max } = this.#range;
    const count = max - min + 1;
    const start = randomBelow(random, count);
    for (let i = 0; i < count; i++) {
      const port = min + ((start + i) % count);
      if (parity !== "any" && port % 2 !== 0) continue;
      if (parity === "pair" && (port === max || this.isTaken(port + 1))) continue;
      if (this.takePort(port)) return port;
    }
    return undefined;
  }
}

export class RelayPlaces {
  readonly #range: PortRange;
  #places: readonly RelayPlace[];

  constructor(addresses: readonly RelayAddress[], range: PortRange) {
    this.#range = range;
    this.#places = addresses.map((address) => new RelayPlace(address, range));
  }

  /** Replaces the addresses; those that stay keep their ports. */
  setAddresses(addresses: readonly RelayAddress[]): void {
    this.#places = addresses.map((address) => this.#findSame(address) ?? new RelayPlace(address, this.#range));
  }

  #findSame(address: RelayAddress): RelayPlace | undefined {
    return this.#places.find(
      ({ address: a }) => sameIp(a.bound, address.bound) && sameIp(a.advertised, address.advertised),
    );
  }

  has(place: RelayPlace): boolean {
    return this.#places.includes(place);
  }

  /** The place at this IP address, as bound. */
  at(bound: Readonly<Address>): RelayPlace | undefined {
    return this.#places.find(({ address }) => sameIp(address.bound, bound));
  }

  /** The place for a client that reached us at `local`: that address itself if it relays, else the first of its family. */
  choose(family: 4 | 6, local: Readonly<Address>): RelayPlace | undefined {
    const places = this.#places.filter((place) => place.address.bound.family === family);
    return places.find((place) => sameIp(place.address.bound, local)) ?? places[0];
  }
}
