/**
 * A link: a cable, a radio cell, or a whole carrier, to which interfaces are attached. It knows who holds which address
 * on it, and who takes packets for elsewhere, so that no node needs a routing table. What a link does to packets is its
 * conditions, drawn apart for each packet and each sender.
 */
import { type Address, copyAddress } from "../core/base/address.ts";
import { copyBytes } from "../core/base/bytes.ts";
import { after, type Instant } from "../core/base/machine.ts";
import { type Prefix, prefixContains } from "../core/base/prefix.ts";
import { AddressMap } from "./address-map.ts";
import { ipHeaderLength, ipLength, type Packet, pieces, withPayload } from "./packet.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Surroundings } from "./surroundings.ts";

export interface LinkConditions {
  /** One way, in milliseconds. */
  readonly delay: number;
  /** Up to this much more, in milliseconds; it does not change the order. */
  readonly jitter: number;
  /** Share of packets, 0 to 1; a datagram in fragments is lost with any of them. */
  readonly loss: number;
  /** Share of packets that are held back by `reorderBy` milliseconds, while later ones pass. */
  readonly reorder: number;
  readonly reorderBy: number;
  /** Share of packets that arrive twice. */
  readonly duplicate: number;
  /** Bytes of the largest IP packet that fits. */
  readonly mtu: number;
  /** Bits a second, each way. */
  readonly rate: number;
  /** Bytes that may wait for their turn at `rate`. */
  readonly queue: number;
}

const perfect: LinkConditions = {
  delay: 0,
  jitter: 0,
  loss: 0,
  reorder: 0,
  reorderBy: 20,
  duplicate: 0,
  mtu: 1500,
  rate: Number.POSITIVE_INFINITY,
  queue: 65_536,
};

/** What is attached to links. */
export interface Node {
  readonly name: string;
  receive(packet: Packet, via: Interface): void;
}

/** A node's attachment to a link. */
export interface Interface {
  readonly node: Node;
  readonly link: Link;
  readonly addresses: readonly Readonly<Address>[];
}

/** One sender's way onto a link. */
interface Lane extends Interface {
  busyUntil: Instant;
  lastArrival: Instant;
}

export interface Announcement {
  readonly prefix: Prefix;
  readonly interface: Interface;
}

/** RFC 5771 §3 and RFC 4291 §2.7: 224.0.0.0/4 and ff00::/8. */
export function isMulticast(address: Readonly<Address>): boolean {
  return address.family === 4 ? address.w3 >>> 28 === 0xe : address.w0 >>> 24 === 0xff;
}

/** An IP address as a key: its port is 0. */
export function ipOf(address: Readonly<Address>): Readonly<Address> {
  if (address.port === 0) return address;
  const ip = copyAddress(address);
  ip.port = 0;
  return ip;
}

export class Link {
  readonly name: string;
  readonly #surroundings: Surroundings;
  readonly #random: SeededRandom;
  readonly #holders: AddressMap<Interface> = new AddressMap();
  /** Of each multicast group, those who have joined it. Routers take nothing of it further. */
  readonly #members: AddressMap<Set<Interface>> = new AddressMap();
  /** Longest prefix first. */
  #announced: Announcement[] = [];
  #conditions: LinkConditions;

  constructor(name: string, surroundings: Surroundings, conditions: Partial<LinkConditions> = {}) {
    this.name = name;
    this.#surroundings = surroundings;
    this.#random = surroundings.random.fork();
    this.#conditions = { ...perfect, ...conditions };
  }

  get conditions(): LinkConditions {
    return this.#conditions;
  }

  /** Changes what is named, from the next packet on. */
  change(conditions: Partial<LinkConditions>): void {
    this.#conditions = { ...this.#conditions, ...conditions };
  }

  /** Attaches `node` with these addresses. Who attaches an address last, holds it. */
  attach(node: Node, addresses: readonly Readonly<Address>[]): Interface {
    const origin = Number.NEGATIVE_INFINITY as Instant;
    const lane: Lane = { node, link: this, addresses, busyUntil: origin, lastArrival: origin };
    for (const address of addresses) this.#holders.set(ipOf(address), lane);
    return lane;
  }

  detach(attached: Interface): void {
    for (const address of attached.addresses) {
      if (this.#holders.find(ipOf(address)) === attached) this.#holders.delete(ipOf(address));
    }
    this.#announced = this.#announced.filter((one) => one.interface !== attached);
    for (const members of this.#members.values()) members.delete(attached);
  }

  /** From now on `attached` takes packets for `prefix` that nobody here holds. */
  announce(prefix: Prefix, attached: Interface): void {
    this.#announced.push({ prefix, interface: attached });
    this.#announced.sort((a, b) => b.prefix.length - a.prefix.length);
  }

  holder(destination: Readonly<Address>): Interface | undefined {
    return this.#holders.find(ipOf(destination));
  }

  /** Who, but for `except`, announced the longest prefix of `destination`. */
  announcer(destination: Readonly<Address>, except: Interface): Announcement | undefined {
    for (const one of this.#announced) {
      if (one.interface !== except && prefixContains(one.prefix, destination)) return one;
    }
    return undefined;
  }

  /** From now on `attached` hears what others here send to `group`. */
  join(group: Readonly<Address>, attached: Interface): void {
    const members = this.#members.find(ipOf(group));
    if (members === undefined) this.#members.set(ipOf(group), new Set([attached]));
    else members.add(attached);
  }

  leave(group: Readonly<Address>, attached: Interface): void {
    this.#members.find(ipOf(group))?.delete(attached);
  }

  /** Takes a packet that `from` sends. */
  carry(packet: Packet, from: Interface): void {
    const { sightings } = this.#surroundings;
    const takers = this.#takers(packet.destination, from);
    if (takers.length === 0) return sightings.drop(this.name, packet, "unreachable");
    const { mtu, loss, duplicate } = this.#conditions;
    let whole = packet;
    if (packet.piece > mtu) {
      if (packet.dontFragment) return sightings.drop(this.name, packet, "too-big");
      whole = { ...packet, piece: mtu - ((mtu - ipHeaderLength(packet)) % 8) };
    }
    sightings.carried(this.name, whole);
    const sent = this.#queue(whole, from as Lane);
    if (sent === undefined) return sightings.drop(this.name, whole, "queue-full");
    const lost = loss > 0 ? 1 - (1 - loss) ** pieces(whole) : 0;
    let given = 0;
    for (const to of takers) {
      if (this.#random.happens(lost)) {
        sightings.drop(this.name, whole, "lost");
        continue;
      }
      for (let n = this.#random.happens(duplicate) ? 2 : 1; n > 0; n--) {
        this.#deliver(given++ === 0 ? whole : withPayload(whole, copyBytes(whole.payload)), from as Lane, to, sent);
      }
    }
  }

  /** Who receives: one, or all members of a group but the sender. */
  #takers(destination: Readonly<Address>, from: Interface): readonly Interface[] {
    if (isMulticast(destination)) {
      return [...(this.#members.find(ipOf(destination)) ?? [])].filter((one) => one !== from);
    }
    const to = this.holder(destination) ?? this.announcer(destination, from)?.interface;
    return to === undefined || to === from ? [] : [to];
  }

  /** When the last bit has left the sender; undefined when its queue is full. */
  #queue(packet: Packet, lane: Lane): Instant | undefined {
    const { rate, queue } = this.#conditions;
    const { now } = this.#surroundings.agenda;
    if (rate === Number.POSITIVE_INFINITY) return now;
    const start = Math.max(lane.busyUntil, now) as Instant;
    if (((start - now) * rate) / 8000 > queue) return undefined;
    lane.busyUntil = after(start, (ipLength(packet) * 8000) / rate);
    return lane.busyUntil;
  }

  #deliver(packet: Packet, lane: Lane, to: Interface, sent: Instant): void {
    const { delay, jitter, reorder, reorderBy } = this.#conditions;
    let arrival = after(sent, jitter > 0 ? delay + this.#random.fraction() * jitter : delay);
    if (this.#random.happens(reorder)) arrival = after(arrival, reorderBy);
    else {
      if (arrival < lane.lastArrival) arrival = lane.lastArrival;
      lane.lastArrival = arrival;
    }
    this.#surroundings.agenda.at(arrival, () => to.node.receive(packet, to));
  }
}
