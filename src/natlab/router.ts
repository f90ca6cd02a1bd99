/** A router: takes packets from one of its links to another. Where to, the links know. */
import type { Address } from "../core/base/address.ts";
import type { Announcement, Interface, Link, Node } from "./link.ts";
import type { Packet } from "./packet.ts";
import { type Surroundings, toAddress, toPrefix } from "./surroundings.ts";

/**
 * The interface by which a packet to `destination` leaves: the one whose link has the holder, else the longest
 * announced prefix, the node's own announcements apart. Undefined when no link leads there.
 */
export function wayOut(interfaces: readonly Interface[], destination: Readonly<Address>): Interface | undefined {
  let best: Announcement | undefined;
  let way: Interface | undefined;
  for (const attached of interfaces) {
    const holder = attached.link.holder(destination);
    if (holder !== undefined) return holder === attached ? undefined : attached;
    const announced = attached.link.announcer(destination, attached);
    if (announced !== undefined && (best === undefined || announced.prefix.length > best.prefix.length)) {
      best = announced;
      way = attached;
    }
  }
  return way;
}

/** Sends `packet` one hop further by `way`. */
export function hop(node: Node, way: Interface | undefined, packet: Packet, around: Surroundings): void {
  if (packet.hopLimit <= 1) return around.sightings.drop(node.name, packet, "hop-limit");
  if (way === undefined) return around.sightings.drop(node.name, packet, "unreachable");
  // RFC 8200 §5: routers do not fragment IPv6.
  if (packet.destination.family === 6 && packet.piece > way.link.conditions.mtu) {
    return around.sightings.drop(node.name, packet, "too-big");
  }
  way.link.carry({ ...packet, hopLimit: packet.hopLimit - 1 }, way);
}

export class Router implements Node {
  readonly name: string;
  readonly #surroundings: Surroundings;
  readonly #interfaces: Interface[] = [];

  constructor(name: string, surroundings: Surroundings) {
    this.name = name;
    this.#surroundings = surroundings;
  }

  /** Connects the router to `link` with `address`; there it takes packets for the prefixes in `announces`. */
  attach(link: Link, address: string, announces: readonly string[] = []): this {
    const attached = link.attach(this, [toAddress(address)]);
    for (const text of announces) link.announce(toPrefix(text), attached);
    this.#interfaces.push(attached);
    return this;
  }

  receive(packet: Packet): void {
    hop(this, wayOut(this.#interfaces, packet.destination), packet, this.#surroundings);
  }
}
