/** Relays by identifier, and by transport address for hand-over. Identifiers are small, and reused after release. */
import { type Address, type PeerAddress, sameAddress } from "../../base/address.ts";
import type { Relay } from "./allocation.ts";
import type { RelayId } from "./flow.ts";
import { NOBODY, type RelayOwners } from "./shard.ts";

export class RelayTable {
  readonly #owners: RelayOwners | undefined;
  readonly #relays: (Relay | undefined)[] = [];
  readonly #free: number[] = [];
  /** By port; several relay addresses may use the same one. */
  readonly #byPort: Map<number, Relay[]> = new Map();

  /** `owners`: knows the relays of other shards, and tells them of ours. */
  constructor(owners?: RelayOwners) {
    this.#owners = owners;
  }

  find(id: RelayId): Relay | undefined {
    return this.#relays[id];
  }

  add(make: (id: RelayId) => Relay): Relay {
    const id = (this.#free.pop() ?? this.#relays.length) as RelayId;
    const relay = make(id);
    this.#relays[id] = relay;
    return relay;
  }

  remove(relay: Relay): void {
    this.#relays[relay.id] = undefined;
    this.#free.push(relay.id);
  }

  /** From now on `findAt` knows it. */
  publish(relay: Relay): void {
    const { port } = relay.bound;
    const same = this.#byPort.get(port);
    if (same === undefined) this.#byPort.set(port, [relay]);
    else same.push(relay);
    this.#owners?.publish(relay.bound);
  }

  unpublish(relay: Relay): void {
    const { port } = relay.bound;
    const rest = (this.#byPort.get(port) ?? []).filter((other) => other !== relay);
    if (rest.length === 0) this.#byPort.delete(port);
    else this.#byPort.set(port, rest);
    this.#owners?.unpublish(relay.bound);
  }

  /** The open relay at this transport address, as advertised or as bound. */
  findAt(address: PeerAddress | Readonly<Address>): Relay | undefined {
    const same = this.#byPort.get(address.port);
    if (same === undefined) return undefined;
    for (const relay of same) {
      if (sameAddress(relay.advertised, address) || sameAddress(relay.bound, address)) return relay;
    }
    return undefined;
  }

  /** Whether there is an open relay at this transport address, of this shard or of another. */
  hasAt(address: Readonly<Address>): boolean {
    return this.findAt(address) !== undefined || this.ownerOf(address) !== NOBODY;
  }

  /** The other shard with an open relay at this transport address; `NOBODY` where none has one. */
  ownerOf(address: PeerAddress | Readonly<Address>): number {
    return this.#owners === undefined ? NOBODY : this.#owners.find(address);
  }
}
