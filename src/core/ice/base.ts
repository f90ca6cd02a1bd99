/**
 * What an agent can send from: a socket of its host, or an allocation on a relay. The caller opens both, names them by a
 * number, and carries out what is sent by that number; the agent itself knows neither sockets nor TURN.
 */
import { type Address, copyAddress, sameIp } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import type { Stream } from "./stream.ts";

declare const baseId: unique symbol;

/** Names a socket or an allocation. Chosen by the caller, and never used again by one agent. */
export type BaseId = number & { readonly [baseId]?: true };

/** RFC 8656 §9: a relay passes on nothing from an IP address without a permission. */
export interface RelayPermission {
  readonly peer: Readonly<Address>;
  readonly askedAt: Instant;
  state: "asked" | "granted" | "refused";
  /** Why it was refused: a sentence. */
  why: string;
}

/** What a STUN server has seen of a socket. */
export interface Sighting {
  readonly server: Readonly<Address>;
  readonly mapped: Readonly<Address>;
}

export class Base {
  readonly id: BaseId;
  readonly kind: "host" | "relay";
  readonly stream: Stream;
  readonly component: number;
  /** Of a socket the address it is bound to; of an allocation the relayed one. */
  readonly address: Readonly<Address>;
  /** RFC 8445 §5.1.2.1: 65,535 for the best. */
  readonly localPreference: number;
  /** When the peer was last told of an address by which this base is reached. */
  toldAt: Instant | undefined;
  readonly permissions: RelayPermission[] = [];
  readonly sightings: Sighting[] = [];

  constructor(
    id: BaseId,
    kind: Base["kind"],
    stream: Stream,
    component: number,
    address: Readonly<Address>,
    localPreference: number,
  ) {
    this.id = id;
    this.kind = kind;
    this.stream = stream;
    this.component = component;
    this.address = copyAddress(address);
    this.localPreference = localPreference;
  }

  permission(peer: Readonly<Address>): RelayPermission | undefined {
    return this.permissions.find((one) => sameIp(one.peer, peer));
  }

  canReach(peer: Readonly<Address>): boolean {
    return this.kind === "host" || this.permission(peer)?.state === "granted";
  }
}
