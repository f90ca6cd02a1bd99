/**
 * What the server keeps: an allocation with its relayed transport addresses, permissions and channels (RFC 8656 §3.2).
 * Everything that expires carries its own deadline. Lists are short and capped, so they are chained (`chain.ts`), and
 * scanned.
 */
import { type Address, type PeerAddress, sameAddress, sameIp } from "../../base/address.ts";
import type { Linked } from "../../base/chain.ts";
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { PortParity, RelayPlace } from "../../base/relay-places.ts";
import type { TokenBucket } from "../../base/token-bucket.ts";
import type { Account } from "./account.ts";
import type { Claim } from "./claims.ts";
import type { ClientPath } from "./client-path.ts";
import type { Credentials } from "./credentials.ts";
import type { Flow, RelayId } from "./flow.ts";
import type { AllocationSummary } from "./outputs.ts";
import type { ReplyTo } from "./reply-to.ts";

/** One relayed transport address: a socket that is being opened, or is open. */
export interface Relay extends Timed, Linked<Relay> {
  readonly kind: "relay";
  readonly id: RelayId;
  place: RelayPlace;
  /** What the socket is bound to. */
  bound: Address;
  /** What the world is told. */
  advertised: Address;
  /** `abandoned`: given up while being opened; released when the answer comes. */
  state: "binding" | "bound" | "abandoned";
  /** Ports tried so far. */
  attempts: number;
  readonly parity: PortParity;
  /** The shard that the port comes from; undefined: this one. */
  readonly lender: number | undefined;
  /** The allocation it serves; undefined while it is reserved or abandoned. */
  allocation: Allocation | undefined;
}

/** Leave for a peer's IP address to be heard and spoken to (RFC 8656 §9). */
export interface Permission extends Timed, Linked<Permission> {
  readonly kind: "permission";
  readonly allocation: Allocation;
  /** Of any port. */
  readonly peer: PeerAddress;
  /** Whether a socket may be used: false for our own addresses, where only hand-over is. */
  open: boolean;
}

/** A channel bound to a peer's transport address (RFC 8656 §12). */
export interface Channel extends Timed, Linked<Channel> {
  readonly kind: "channel";
  readonly allocation: Allocation;
  readonly number: number;
  readonly relay: Relay;
  readonly toPeer: Flow;
  readonly toClient: Flow;
  /** The live permission for the peer's address: without it nothing comes back. */
  permission: Permission | undefined;
  /** The peer is at one of our own relay addresses: look for a live allocation there first. */
  own: boolean;
  /** Whether a socket may be used. */
  open: boolean;
  /** From here to the channel of another client of this server, where its channel leads here too. */
  handOver: HandOver | undefined;
}

export interface HandOver {
  readonly flow: Flow;
  readonly into: Channel;
}

/** The successor of an even port, held for whoever brings the token (RFC 8656 §7.2). */
export interface Reservation extends Timed {
  readonly kind: "reservation";
  readonly token: Uint8Array;
  readonly username: string;
  readonly relay: Relay;
}

export interface Allocation {
  readonly id: number;
  readonly path: ClientPath;
  readonly credentials: Credentials;
  /** Of the Allocate that made it, which may be retransmitted. */
  readonly transaction: string;
  /** How to answer it, while it waits for its sockets. */
  reply: ReplyTo | undefined;
  state: "binding" | "live" | "ended";
  /** One, or one of each family. Replaced, not pushed to: an array that grows takes room for sixteen more. */
  relays: readonly Relay[];
  /** The first of each: see `chain.ts`. */
  permissions: Permission | undefined;
  channels: Channel | undefined;
  /** Seconds asked for and granted by the Allocate. */
  readonly lifetime: number;
  readonly createdAt: Instant;
  /** No refresh reaches beyond this: the credential's end. */
  readonly sessionEnd: Instant | undefined;
  reservation: Reservation | undefined;
  /** The second family of a dual allocation could not be had (RFC 8656 §18.12). */
  familyError: { readonly family: number; readonly code: number } | undefined;
  readonly newPeers: TokenBucket;
  readonly account: Account;
  /** Next in the client table's chain. */
  next: Allocation | undefined;
}

export const NO_RELAYS: readonly Relay[] = [];

export type Expiring = Relay | Permission | Channel | Reservation | Claim;

export function findPermission(allocation: Allocation, peer: PeerAddress): Permission | undefined {
  let at = allocation.permissions;
  while (at !== undefined && !sameIp(at.peer, peer)) at = at.next;
  return at;
}

export function findChannel(allocation: Allocation, number: number): Channel | undefined {
  let at = allocation.channels;
  while (at !== undefined && at.number !== number) at = at.next;
  return at;
}

export function findChannelByPeer(allocation: Allocation, peer: PeerAddress): Channel | undefined {
  let at = allocation.channels;
  while (at !== undefined && !sameAddress(at.toPeer.peer, peer)) at = at.next;
  return at;
}

/** Nearly always the only one: of `concat` the array would have room for four. */
export function addRelay(allocation: Allocation, relay: Relay): void {
  allocation.relays = allocation.relays.length === 0 ? [relay] : allocation.relays.concat(relay);
}

export function removeRelay(allocation: Allocation, relay: Relay): void {
  allocation.relays = allocation.relays.filter((other) => other !== relay);
}

/** The allocation's open relay of this family. */
export function findRelay(allocation: Allocation, family: 4 | 6): Relay | undefined {
  for (const relay of allocation.relays) {
    if (relay.bound.family === family && relay.state === "bound") return relay;
  }
  return undefined;
}

export function summarize(allocation: Allocation): AllocationSummary {
  return {
    id: allocation.id,
    username: allocation.credentials.username,
    client: allocation.path,
    relayed: allocation.relays.map((relay) => relay.advertised),
  };
}
