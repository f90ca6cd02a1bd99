/**
 * Whose relay is at which transport address: shared memory with a byte for each port of each relay address, which says a
 * shard's number plus one. A shard writes the bytes of its own ports; the main thread alone says which addresses there are.
 *
 * A byte may be out of date by as long as it takes to look at it. That costs a packet and no more: the shard that is handed
 * it asks for a live allocation at exactly that address, and for its permission.
 */
import { type Address, sameIp } from "../../core/base/address.ts";
import type { PortRange, RelayAddress } from "../../core/base/relay-places.ts";
import { NOBODY, type RelayOwners } from "../../core/turn/server/shard.ts";

/** Relay addresses that there is room for: what is at others is not reached from another shard. */
const mostPlaces = 16;

/** In 32-bit words: family (0: no place), as bound, as advertised. */
const FAMILY = 0;
const BOUND = 1;
const ADVERTISED = 5;
const placeWords = 16;

export interface SharedOwners {
  readonly memory: SharedArrayBuffer;
  readonly ports: PortRange;
}

/** `ports`: of all shards. */
export function createOwners(ports: PortRange): SharedOwners {
  const each = placeWords * 4 + ports.max - ports.min + 1;
  return { memory: new SharedArrayBuffer(mostPlaces * ((each + 3) & ~3)), ports };
}

/** One place's memory. */
class Place {
  readonly #words: Int32Array;
  readonly owners: Uint8Array;

  constructor({ memory, ports }: SharedOwners, index: number) {
    const at = (memory.byteLength / mostPlaces) * index;
    this.#words = new Int32Array(memory, at, placeWords);
    this.owners = new Uint8Array(memory, at + placeWords * 4, ports.max - ports.min + 1);
  }

  isBoundAt(address: Readonly<Address>): boolean {
    return this.#words[FAMILY] === address.family && this.#has(BOUND, address);
  }

  isAt(address: Readonly<Address>): boolean {
    return this.#words[FAMILY] === address.family && (this.#has(ADVERTISED, address) || this.#has(BOUND, address));
  }

  get isUsed(): boolean {
    return this.#words[FAMILY] !== 0;
  }

  set({ bound, advertised }: RelayAddress): void {
    this.#words.set([bound.w0, bound.w1, bound.w2, bound.w3], BOUND);
    this.#words.set([advertised.w0, advertised.w1, advertised.w2, advertised.w3], ADVERTISED);
    this.#words[FAMILY] = bound.family;
  }

  clear(): void {
    this.#words[FAMILY] = 0;
    this.owners.fill(0);
  }

  #has(at: number, { w0, w1, w2, w3 }: Readonly<Address>): boolean {
    const words = this.#words;
    return words[at + 3] === w3 && words[at + 2] === w2 && words[at + 1] === w1 && words[at] === w0;
  }
}

function placesOf(shared: SharedOwners): Place[] {
  return Array.from({ length: mostPlaces }, (_, index) => new Place(shared, index));
}

/** A shard's view. */
export class PortOwners implements RelayOwners {
  readonly #places: readonly Place[];
  readonly #ports: PortRange;
  readonly #self: number;

  constructor(shared: SharedOwners, index: number) {
    this.#places = placesOf(shared);
    this.#ports = shared.ports;
    this.#self = index + 1;
  }

  find(address: Readonly<Address>): number {
    const { min, max } = this.#ports;
    const { port } = address;
    if (port < min || port > max) return NOBODY;
    for (let i = 0; i < mostPlaces; i++) {
      const place = this.#places[i] as Place;
      if (!place.isAt(address)) continue;
      const owner = Atomics.load(place.owners, port - min);
      if (owner !== 0) return owner === this.#self ? NOBODY : owner - 1;
    }
    return NOBODY;
  }

  publish(bound: Readonly<Address>): void {
    const owners = this.#ownersAt(bound);
    if (owners !== undefined) Atomics.store(owners, bound.port - this.#ports.min, this.#self);
  }

  /** Another shard may have it by now. */
  unpublish(bound: Readonly<Address>): void {
    const owners = this.#ownersAt(bound);
    if (owners !== undefined) Atomics.compareExchange(owners, bound.port - this.#ports.min, this.#self, 0);
  }

  #ownersAt(bound: Readonly<Address>): Uint8Array | undefined {
    return this.#places.find((place) => place.isBoundAt(bound))?.owners;
  }
}

/** The main thread's view. */
export class OwnersOfAll {
  readonly #places: readonly Place[];
  readonly #known: (RelayAddress | undefined)[] = new Array<undefined>(mostPlaces).fill(undefined);

  constructor(shared: SharedOwners) {
    this.#places = placesOf(shared);
  }

  /** Before shards are told of them. */
  setAddresses(addresses: readonly RelayAddress[]): void {
    for (const [i, known] of this.#known.entries()) {
      if (known === undefined || addresses.some((address) => isSame(address, known))) continue;
      this.#places[i]?.clear();
      this.#known[i] = undefined;
    }
    for (const address of addresses) {
      if (this.#known.some((known) => known !== undefined && isSame(address, known))) continue;
      const free = this.#known.indexOf(undefined);
      if (free < 0) return;
      this.#known[free] = address;
      this.#places[free]?.set(address);
    }
  }

  /** The shard has died: it owns nothing. */
  clear(index: number): void {
    for (const { owners, isUsed } of this.#places) {
      if (!isUsed) continue;
      for (let i = 0; i < owners.length; i++) Atomics.compareExchange(owners, i, index + 1, 0);
    }
  }
}

function isSame(a: RelayAddress, b: RelayAddress): boolean {
  return sameIp(a.bound, b.bound) && sameIp(a.advertised, b.advertised);
}
