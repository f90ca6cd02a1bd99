/**
 * What the daemon has of TURN: listeners, what it is told, and what it counts. `TurnHost` serves in this thread;
 * `TurnShards` has workers that do.
 */
import type { Address } from "../core/base/address.ts";
import type { RelayAddress, SharedSecret } from "../core/turn/server/config.ts";
import type { DiscoverySquare } from "../core/turn/server/discovery-sites.ts";
import type { UserKeys, UserQuery } from "../core/turn/server/outputs.ts";
import type { TurnServerStats } from "../core/turn/server/stats.ts";
import type { DatapathStats } from "./datapath/datapath.ts";
import type { OffloadStats } from "./datapath/ebpf/offload-stats.ts";
import type { ListenSpec } from "./net/listen-spec.ts";
import type { StreamStats } from "./net/stream-stats.ts";
import type { TlsIdentity } from "./net/tls-identity.ts";
import type { NeighbourStats } from "./shard/neighbours.ts";
import type { Capacity } from "./turn/capacity.ts";

/**
 * Looks a user up; undefined when there is none. `signal` fires after five seconds and on close: the answer is not
 * waited for any longer, and the user counts as unknown. A rejection is logged and counts the same. What is found holds for
 * ten seconds, or until `removeUser`.
 */
export type FindKeys = (
  user: UserQuery,
  realm: string,
  signal: AbortSignal,
) => Promise<UserKeys | undefined> | UserKeys | undefined;

/** A listener that is open. */
export interface BoundListener {
  /** Never used again in this process. */
  readonly id: number;
  readonly transport: "udp" | "tcp" | "tls";
  /** With the port that was bound. */
  readonly address: Readonly<Address>;
}

export interface HostStats {
  readonly server: Readonly<TurnServerStats>;
  readonly datapath: Readonly<DatapathStats>;
  /** Undefined where the kernel forwards nothing by itself. */
  readonly offloaded: Readonly<OffloadStats> | undefined;
  readonly streams: Readonly<StreamStats>;
  /** Undefined where there are no shards. */
  readonly handedOver: Readonly<NeighbourStats> | undefined;
}

/** How one of several workers fares. */
export interface ShardHealth {
  /** `udp 0` and so on, or `streams`. */
  readonly name: string;
  readonly isUp: boolean;
  /** It was ended, and is inside a system call yet: so is the process, until it is killed. */
  readonly isStuck: boolean;
  /** How often it has ended, and was started again. */
  readonly failures: number;
  /** Allocations that ended with it. */
  readonly lost: number;
  /** Listeners that it could not open again, and tries to. */
  readonly lostListeners: number;
}

export interface TurnService extends AsyncDisposable {
  /** As of the last `refresh`, but for `server.allocations`, which are those of now. */
  readonly stats: HostStats;
  /** Judged by the open-descriptor limit, the relay ports (of clients on UDP) and the quota; printed at start. */
  readonly capacity: Capacity;
  readonly listeners: readonly BoundListener[];
  /** Empty where everything is in this thread. */
  readonly shards: readonly ShardHealth[];

  /** Brings `stats` up to date. */
  refresh(): Promise<void>;

  /**
   * Opens a listener. Rejects with `PosternError`: `address-busy`, `address-gone`, `descriptors-exhausted`,
   * `wildcard-address`, `permission-denied` (a port below 1024), `bad-tls-identity`, `missing-tls-identity`,
   * `shard-ended`, `no-stream-worker`, `closed`.
   */
  listen(spec: ListenSpec): Promise<BoundListener>;

  /**
   * Closes a listener. Connections that came through it stay; UDP clients that came through it cannot be answered any
   * more, so their allocations end. One that is closed already is ignored.
   */
  unlisten(listener: BoundListener): void;

  /**
   * New handshakes use this certificate, on every TLS listener; connections stay. Throws `PosternError`
   * `bad-tls-identity`, and then everything stays as it is.
   */
  updateTls(identity: TlsIdentity): void;

  /**
   * The host's addresses changed: allocations on relays that are gone end. Listeners are the caller's to move. Throws
   * `PosternError` `wildcard-address`.
   */
  setAddresses(relays: readonly RelayAddress[], ownAddresses: readonly Readonly<Address>[]): void;

  /** Serves NAT behaviour discovery (RFC 5780) on these listeners, and on no others; at first on none. */
  setDiscoverySquares(squares: readonly DiscoverySquare[]): void;

  /** Replaces the shared secrets; sessions made with one that is gone end. */
  setSecrets(secrets: readonly SharedSecret[]): void;

  /** The user was removed or has a new password: that user's sessions end. */
  removeUser(username: string): void;

  /**
   * Refuses new allocations from now on. Resolves with the number of allocations left: 0 as soon as there is none, or
   * what is there when `deadlineMs` have passed. Rejects with the signal's reason.
   */
  drain(deadlineMs: number, signal?: AbortSignal): Promise<number>;

  /** Ends every allocation, closes every socket; resolves when the operating system has them back. */
  close(): Promise<void>;
}
