/**
 * A NAT that behaves as it is declared. Mapping decides which outside endpoint a packet leaves from, filtering whom that
 * endpoint then admits; both ask how much of the remote endpoint counts, and for nothing else.
 */
import { type Address, blankAddress, copyAddress } from "../../core/base/address.ts";
import type { Instant } from "../../core/base/machine.ts";
import type { NatBehavior } from "../behavior.ts";
import type { SeededRandom } from "../seeded-random.ts";
import { AddressPool } from "./address-pool.ts";
import { seenOf } from "./dependence.ts";
import { Mapping } from "./mapping.ts";
import { MappingTable } from "./mapping-table.ts";
import type { Nat, Refusal } from "./nat.ts";
import { PortChoice } from "./port-choice.ts";

const scratch = blankAddress();

export class Rfc4787Nat implements Nat {
  readonly behavior: NatBehavior;
  readonly #mappings: MappingTable = new MappingTable();
  readonly #pool: AddressPool;
  readonly #ports: PortChoice;
  #order = 0;

  constructor(behavior: NatBehavior, outside: readonly Readonly<Address>[], random: SeededRandom) {
    this.behavior = behavior;
    this.#pool = new AddressPool(behavior.pooling, outside);
    this.#ports = new PortChoice(behavior, random);
  }

  outgoingSource(source: Readonly<Address>, destination: Readonly<Address>, now: Instant): Readonly<Address> | Refusal {
    this.#mappings.expire(now);
    const toward = seenOf(destination, this.behavior.mapping, scratch);
    const mapping = this.#mappings.find(source, toward) ?? this.#create(source, toward, now);
    if (typeof mapping === "string") return mapping;
    mapping.sendTo(destination, now, ++this.#order);
    return mapping.outside;
  }

  incomingDestination(
    source: Readonly<Address>,
    destination: Readonly<Address>,
    now: Instant,
  ): Readonly<Address> | Refusal {
    this.#mappings.expire(now);
    const candidates = this.#mappings.at(destination);
    if (candidates.length === 0) return "no-mapping";
    let best: Mapping | undefined;
    for (const mapping of candidates) {
      if (mapping.admits(source, now) && (best === undefined || mapping.lastSent > best.lastSent)) best = mapping;
    }
    if (best === undefined) return "filtered";
    best.receiveFrom(source, now);
    return best.inside;
  }

  holds(address: Readonly<Address>): boolean {
    return this.#pool.holds(address);
  }

  mappingCount(now: Instant): number {
    this.#mappings.expire(now);
    return this.#mappings.size;
  }

  /** Forgets everything, as after a loss of power. */
  reboot(): void {
    this.#mappings.clear();
    this.#pool.reset();
    this.#ports.reset();
  }

  /** Its outside addresses are others now, and nothing of the old ones is left. */
  changeAddresses(outside: readonly Readonly<Address>[]): void {
    this.#mappings.clear();
    this.#pool.reset(outside);
  }

  #create(source: Readonly<Address>, toward: Readonly<Address>, now: Instant): Mapping | Refusal {
    const { maxMappings, maxMappingsPerHost } = this.behavior;
    if (this.#mappings.size >= maxMappings || this.#mappings.hostSize(source) >= maxMappingsPerHost) {
      return "mapping-limit";
    }
    const chosen = this.#pool.choose(source);
    if (chosen === undefined) return "ports-exhausted";
    const outside = copyAddress(chosen);
    const port = this.#ports.choose(source.port, (candidate) => {
      outside.port = candidate;
      return this.#mappings.at(outside).length === 0;
    });
    if (port === undefined) return "ports-exhausted";
    outside.port = port;
    const mapping = new Mapping(this.behavior, copyAddress(source), outside, copyAddress(toward), now);
    this.#mappings.add(mapping);
    return mapping;
  }
}
