/** Relays by identifier, and by transport address for hand-over. Identifiers are small, and reused after release. */
import { type Address, type PeerAddress, sameAddress } from "../../base/address.ts";
import { append, without } from "../../base/chain.ts";
import type { Relay } from "./allocation.ts";
import type { RelayId } from "./flow.ts";
import { NOBODY, type RelayOwners } from "./shard.ts";

export class RelayTable {
  readonly #owners: RelayOwners | undefined;
  readonly #relays: (Relay | undefined)[] = [];
  readonly #free: number[] = [];
  /** By port, the first: several relay addresses may use the same one. */
  readonly #byPort: Map<number, Relay> = new Map();

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
    this.#byPort.set(port, append(this.#byPort.get(port), relay));
    this.#owners?.publish(relay.bound);
  }

  unpublish(relay: Relay): void {
    const { port } = relay.bound;
    const rest = without(this.#byPort.get(port), relay);
    if (rest === undefined) this.#byPort.delete(port);
    else this.#byPort.set(port, rest);
    this.#owners?.unpublish(relay.bound);
  }

  /** The open relay at this transport address, as advertised or as bound. */
  findAt(address: PeerAddress | Readonly<Address>): Relay | undefined {
    let relay = this.#byPort.get(address.port);
    while (relay !== undefined && !isAt(relay, address)) relay = relay.next;
    return relay;
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

function isAt({ advertised, bound }: Relay, address: Readonly<Address>): boolean {
  return sameAddress(advertised, address) || sameAddress(bound, address);
}
