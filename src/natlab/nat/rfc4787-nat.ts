/**
 * A NAT that behaves as it is declared, for UDP; for TCP it has another beside it, with the same outside addresses.
 * Mapping decides which outside endpoint a packet leaves from, filtering whom that endpoint then admits; both ask how
 * much of the remote endpoint counts, and for nothing else.
 */
import { type Address, blankAddress, copyAddress } from "../../core/base/address.ts";
import type { Instant } from "../../core/base/machine.ts";
import type { NatBehavior } from "../behavior.ts";
import type { Packet } from "../packet.ts";
import type { SeededRandom } from "../seeded-random.ts";
import { AddressPool } from "./address-pool.ts";
import { assign } from "./assignment.ts";
import { seenOf } from "./dependence.ts";
import { Mapping } from "./mapping.ts";
import { MappingTable } from "./mapping-table.ts";
import type { Nat, Refusal } from "./nat.ts";
import { PortChoice } from "./port-choice.ts";
import { Rfc5382Nat } from "./rfc5382-nat.ts";

const scratch = blankAddress();

export class Rfc4787Nat implements Nat {
  readonly behavior: NatBehavior;
  readonly #mappings: MappingTable<Mapping> = new MappingTable();
  readonly #tcp: Rfc5382Nat;
  readonly #pool: AddressPool;
  readonly #ports: { readonly udp: PortChoice; readonly tcp: PortChoice };
  #order = 0;

  constructor(behavior: NatBehavior, outside: readonly Readonly<Address>[], random: SeededRandom) {
    this.behavior = behavior;
    this.#pool = new AddressPool(behavior.pooling, outside);
    this.#ports = { udp: new PortChoice(behavior, random), tcp: new PortChoice(behavior, random) };
    this.#tcp = new Rfc5382Nat(behavior, (inside) => this.#assign(inside, "tcp"));
  }

  /** The source with which `packet` leaves for the outside. */
  leaving(packet: Packet, now: Instant): Readonly<Address> | Refusal {
    const { source, destination, segment } = packet;
    return segment === undefined
      ? this.outgoingSource(source, destination, now)
      : this.#tcp.outgoingSource(source, destination, segment, now);
  }

  /** The inside address to which `packet` goes that comes from `source`. */
  entering(packet: Packet, source: Readonly<Address>, now: Instant): Readonly<Address> | Refusal {
    const { destination, segment } = packet;
    return segment === undefined
      ? this.incomingDestination(source, destination, now)
      : this.#tcp.incomingDestination(source, destination, segment, now);
  }

  /** Whether somebody inside has the outside address that `packet` is sent to, let in or not. */
  isMapped({ destination, segment }: Packet, now: Instant): boolean {
    const mappings = segment === undefined ? this.#mappings : this.#tcp.mappings;
    mappings.expire(now);
    return mappings.at(destination).length > 0;
  }

  /** Whether TCP segments from `source` to the outside `destination` belong to a connection. */
  isExpected(source: Readonly<Address>, destination: Readonly<Address>, now: Instant): boolean {
    return this.#tcp.isExpected(source, destination, now);
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
    this.#tcp.mappings.expire(now);
    return this.#mappings.size + this.#tcp.mappings.size;
  }

  /** Forgets everything, as after a loss of power. */
  reboot(): void {
    this.#clear();
    this.#pool.reset();
    this.#ports.udp.reset();
    this.#ports.tcp.reset();
  }

  /** Its outside addresses are others now, and nothing of the old ones is left. */
  changeAddresses(outside: readonly Readonly<Address>[]): void {
    this.#clear();
    this.#pool.reset(outside);
  }

  #clear(): void {
    this.#mappings.clear();
    this.#tcp.mappings.clear();
  }

  #create(source: Readonly<Address>, toward: Readonly<Address>, now: Instant): Mapping | Refusal {
    const outside = this.#assign(source, "udp");
    if (typeof outside === "string") return outside;
    const mapping = new Mapping(this.behavior, copyAddress(source), outside, copyAddress(toward), now);
    this.#mappings.add(mapping);
    return mapping;
  }

  #assign(inside: Readonly<Address>, protocol: "udp" | "tcp"): Readonly<Address> | Refusal {
    const table = protocol === "udp" ? this.#mappings : this.#tcp.mappings;
    return assign(inside, this.behavior, this.#pool, this.#ports[protocol], table, [
      this.#mappings,
      this.#tcp.mappings,
    ]);
  }
}
