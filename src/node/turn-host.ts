/**
 * Gives one TURN server its sockets, its timer and its clock. The host owns a machine, a datapath, and the listeners on
 * which clients come; whatever arrives becomes one input of the machine, and the driver carries out what it asks for.
 */
import type { Address } from "../core/base/address.ts";
import type { RelayAddress, SharedSecret, TurnServerConfig } from "../core/turn/server/config.ts";
import type { TurnServerEvent, UserKeys, UserQuery } from "../core/turn/server/outputs.ts";
import type { TurnServerStats } from "../core/turn/server/stats.ts";
import type { Datapath, DatapathStats } from "./datapath/datapath.ts";
import type { Log } from "./log.ts";
import type { StreamLimits } from "./net/stream-limits.ts";
import type { StreamStats } from "./net/stream-stats.ts";
import type { TlsIdentity } from "./net/tls-identity.ts";

export interface TurnHostOptions {
  readonly config: TurnServerConfig;
  /** The host's from now on: `close` closes it. */
  readonly datapath: Datapath;
  /**
   * Looks a user up; undefined when there is none. `signal` fires after five seconds and on close: the answer is not
   * waited for any longer, and the user counts as unknown. A rejection is logged and counts the same.
   */
  readonly keys?: (user: UserQuery, realm: string, signal: AbortSignal) => Promise<UserKeys | undefined>;
  readonly onEvent?: (event: TurnServerEvent) => void;
  readonly log?: Log;
  /** What is not given is as in `defaultStreamLimits`. */
  readonly streams?: Partial<StreamLimits>;
}

export interface ListenSpec {
  readonly transport: "udp" | "tcp" | "tls";
  /** One local address, never a wildcard; port 0 picks a free one. */
  readonly address: Readonly<Address>;
  /** Needed by, and only by, `tls`. */
  readonly tls?: TlsIdentity;
}

/** A listener that is open. */
export interface BoundListener {
  /** The `listener` of every `ClientPath` through it; never used again in this process. */
  readonly id: number;
  readonly transport: "udp" | "tcp" | "tls";
  /** With the port that was bound. */
  readonly address: Readonly<Address>;
}

export interface HostStats {
  readonly server: Readonly<TurnServerStats>;
  readonly datapath: Readonly<DatapathStats>;
  readonly streams: Readonly<StreamStats>;
}

/** How many allocations this process has room for, and what ends first. */
export interface Capacity {
  readonly allocations: number;
  readonly limitedBy: "descriptors" | "ports" | "quota";
}

export declare class TurnHost implements AsyncDisposable {
  /** Opens nothing yet. */
  constructor(options: TurnHostOptions);

  readonly stats: HostStats;
  /** Judged by the open-descriptor limit, the relay ports and the quota; printed at start. */
  readonly capacity: Capacity;
  readonly listeners: readonly BoundListener[];

  /**
   * Opens a listener. Rejects with `PosternError`: `address-busy`, `address-gone`, `descriptors-exhausted`,
   * `wildcard-address`, `permission-denied` (a port below 1024), `bad-tls-identity`, `missing-tls-identity`,
   * `closed`; or with the signal's reason.
   */
  listen(spec: ListenSpec, signal?: AbortSignal): Promise<BoundListener>;

  /**
   * Closes a listener and resolves when it is closed. Connections that came through it stay; UDP clients that came
   * through it cannot be answered any more.
   */
  unlisten(listener: BoundListener): Promise<void>;

  /**
   * New handshakes use this certificate, on every TLS listener; connections stay. Throws `PosternError`
   * `bad-tls-identity`, and then everything stays as it is.
   */
  updateTls(identity: TlsIdentity): void;

  /** The host's addresses changed: allocations on relays that are gone end. Listeners are the caller's to move. */
  setAddresses(relays: readonly RelayAddress[], ownAddresses: readonly Readonly<Address>[]): void;
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
  [Symbol.asyncDispose](): Promise<void>;
}
