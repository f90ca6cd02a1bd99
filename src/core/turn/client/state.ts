/** What the procedures of the client share. */
import { type Address, blankAddress, type PeerAddress, sameAddress, sameIp } from "../../base/address.ts";
import { Deadlines, type Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import type { Ports } from "../../base/ports.ts";
import { type ClientTransaction, ClientTransactions } from "../../stun/client-transaction.ts";
import { StunWriter } from "../../stun/writer.ts";
import { type Challenge, type ClientCredentials, prepareCredentials } from "./challenge.ts";
import type { TurnClientConfig } from "./config.ts";
import type { Failure } from "./failure.ts";
import type { TurnClientEvent, TurnClientOutput } from "./outputs.ts";

/** A peer's IP address to which, and from which, the server relays. Its deadline is the next refresh. */
export interface Permission extends Timed {
  readonly kind: "permission";
  /** Its port is zero. */
  readonly peer: PeerAddress;
  granted: boolean;
  /** A `permit` has not been answered yet. */
  awaited: boolean;
  /** A request for it is under way. */
  asking: boolean;
}

/** A peer's transport address with a number. Its deadline is the next refresh, or when the number is free again. */
export interface Channel extends Timed {
  readonly kind: "channel";
  readonly number: number;
  readonly peer: PeerAddress;
  readonly permission: Permission;
  bound: boolean;
  asking: boolean;
  /** False from `unbind` on: what is left is the time in which the number may mean no other peer. */
  wanted: boolean;
  /** Until when the server may know it; 0: it does not. */
  heldUntil: Instant;
}

export interface Timer extends Timed {
  readonly kind: "refresh" | "expiry" | "keepalive" | "retry" | "renewal";
}

/** What a request is for. `abandon`: an Allocate whose allocation is not wanted any more. */
export type Subject =
  | { readonly kind: "allocate" | "abandon" | "refresh" | "close" | "keepalive" }
  | { readonly kind: "permission"; readonly permission: Permission }
  | { readonly kind: "channel"; readonly channel: Channel };

export interface Request {
  readonly subject: Subject;
  /** What it was sealed with; undefined when it was not. */
  readonly challenge: Challenge | undefined;
  /** How many challenges it has answered, in its former shapes. */
  readonly challenges: number;
  /** Why answers to it were treated as never received. */
  doubt: "integrity-violated" | "bid-down" | undefined;
}

export type Due = Permission | Channel | Timer | ClientTransaction<Request>;

/** `waiting`: an allocation was lost, and the next try is to come. */
export type Phase = "idle" | "connecting" | "allocating" | "live" | "waiting" | "closing" | "ended";

export type ClientDropReason = "malformed" | "unexpected" | "not-allocated" | "no-permission" | "no-channel";

/** Where the payload of the datagram just handed in lies, and who sent it. */
export interface Incoming {
  readonly peer: PeerAddress;
  offset: number;
  length: number;
}

function timer(kind: Timer["kind"]): Timer {
  return { kind, deadline: 0 as Instant, heapIndex: -1 };
}

export class ClientState {
  readonly config: TurnClientConfig;
  readonly ports: Ports;
  credentials: ClientCredentials;
  readonly outputs: OutputQueue<TurnClientOutput> = new OutputQueue();
  readonly deadlines: Deadlines<Due> = new Deadlines();
  readonly transactions: ClientTransactions<Request> = new ClientTransactions(this.deadlines);
  readonly writer: StunWriter = new StunWriter();
  readonly permissions: Permission[] = [];
  readonly channels: Map<number, Channel> = new Map();
  readonly refreshTimer: Timer = timer("refresh");
  readonly expiryTimer: Timer = timer("expiry");
  readonly keepaliveTimer: Timer = timer("keepalive");
  readonly retryTimer: Timer = timer("retry");
  /** Running while other credentials are waited for. */
  readonly renewalTimer: Timer = timer("renewal");
  /** What was refused, and is asked again with other credentials. */
  readonly heldBack: Subject[] = [];
  /** The credentials are new, and nothing has been granted to them yet. */
  areUntried = false;
  readonly drops: Record<ClientDropReason, number> = {
    malformed: 0,
    unexpected: 0,
    "not-allocated": 0,
    "no-permission": 0,
    "no-channel": 0,
  };
  phase: Phase = "idle";
  /** Where the client is now, which may be an alternate server. */
  server: Readonly<Address>;
  /** Whose certificate it has; undefined: as the user named it. */
  domain: string | undefined;
  /** Servers that redirected here since the allocation was asked for. */
  readonly visited: Readonly<Address>[] = [];
  /** How often a 437 made the client take another local port. */
  freshPaths = 0;
  challenge: Challenge | undefined;
  mapped: Readonly<Address> | undefined;
  /** Over UDP keepalives are Bindings and Refreshes in turn. */
  wasBinding = false;
  /** Seconds of the allocation's first lifetime. */
  firstLifetime = 0;
  /** There has been an allocation: from now on failures are tried again. */
  hasLived = false;
  /** Tries in a row that brought no allocation. */
  retries = 0;
  /** Why the last refresh was refused. */
  refreshFailure: Failure | undefined;
  lastChannel: number;
  /** The peer of the Data indication at hand. */
  readonly indicationPeer: Address = blankAddress();
  readonly #incoming: { -readonly [K in keyof Incoming]: Incoming[K] };

  constructor(config: TurnClientConfig, ports: Ports) {
    this.config = config;
    this.ports = ports;
    this.credentials = prepareCredentials(config.username, config.password);
    this.server = config.server;
    this.lastChannel = 0x3fff;
    this.#incoming = { peer: this.indicationPeer, offset: 0, length: 0 };
  }

  tell(event: TurnClientEvent): void {
    this.outputs.push({ kind: "event", event });
  }

  drop(reason: ClientDropReason): undefined {
    this.drops[reason]++;
    return undefined;
  }

  /** The one object in which payloads are handed out. */
  incoming(peer: PeerAddress, offset: number, length: number): Incoming {
    this.#incoming.peer = peer;
    this.#incoming.offset = offset;
    this.#incoming.length = length;
    return this.#incoming;
  }

  findPermission(peer: PeerAddress): Permission | undefined {
    for (const permission of this.permissions) if (sameIp(permission.peer, peer)) return permission;
    return undefined;
  }

  findChannel(peer: PeerAddress): Channel | undefined {
    for (const channel of this.channels.values()) if (sameAddress(channel.peer, peer)) return channel;
    return undefined;
  }
}
