/** Signatures first: the body follows. */
import type { Address, PeerAddress } from "../../base/address.ts";
import type { Instant, Machine } from "../../base/machine.ts";
import type { Ports } from "../../base/ports.ts";
import type { ClientPath } from "./client-path.ts";
import type { RelayAddress, SharedSecret, TurnServerConfig } from "./config.ts";
import type { Forward, RelayId } from "./flow.ts";
import type { KeyQueryId, TurnServerOutput, UserKeys } from "./outputs.ts";
import type { TurnServerStats } from "./stats.ts";

export interface TurnServerShape extends Machine<TurnServerOutput> {
  readonly stats: Readonly<TurnServerStats>;
  /**
   * One datagram, or one frame of a stream, from a client: `data[0, length)`. `data` and `from` are borrowed.
   * Returns where its payload goes when it is media; everything else becomes outputs.
   */
  handleClientDatagram(data: Uint8Array, length: number, from: ClientPath, now: Instant): Forward | undefined;
  /** One datagram that arrived at a relayed transport address. `from` is borrowed. */
  handlePeerDatagram(
    data: Uint8Array,
    length: number,
    from: PeerAddress,
    relay: RelayId,
    now: Instant,
  ): Forward | undefined;
  handleRelayBound(relay: RelayId, now: Instant): void;
  /** `busy`: the port is taken by somebody else, try another; `exhausted`: no descriptor or memory left; `gone`: the address is not ours any more. */
  handleRelayFailed(relay: RelayId, why: "busy" | "exhausted" | "gone", now: Instant): void;
  handleKey(query: KeyQueryId, keys: UserKeys | undefined, now: Instant): void;
  /** A client's stream is closed: its allocation ends. */
  handleClientClosed(path: ClientPath, now: Instant): void;
  /** The host's addresses changed: allocations on relays that are gone end. */
  handleAddresses(relays: readonly RelayAddress[], ownAddresses: readonly Readonly<Address>[], now: Instant): void;
  /** Replaces the shared secrets; sessions made with one that is gone end. */
  handleSecrets(secrets: readonly SharedSecret[], now: Instant): void;
  /** A user was removed, or has a new password: that user's sessions end. */
  handleUserRemoved(username: string, now: Instant): void;
  /** From now on new allocations are refused with 508, or 300 where alternate servers are configured. */
  handleDrain(now: Instant): void;
  /** Ends every allocation. */
  close(now: Instant): void;
}

export declare class TurnServer implements TurnServerShape {
  constructor(config: TurnServerConfig, ports: Ports);
  readonly stats: Readonly<TurnServerStats>;
  handleClientDatagram(data: Uint8Array, length: number, from: ClientPath, now: Instant): Forward | undefined;
  handlePeerDatagram(
    data: Uint8Array,
    length: number,
    from: PeerAddress,
    relay: RelayId,
    now: Instant,
  ): Forward | undefined;
  handleRelayBound(relay: RelayId, now: Instant): void;
  handleRelayFailed(relay: RelayId, why: "busy" | "exhausted" | "gone", now: Instant): void;
  handleKey(query: KeyQueryId, keys: UserKeys | undefined, now: Instant): void;
  handleClientClosed(path: ClientPath, now: Instant): void;
  handleAddresses(relays: readonly RelayAddress[], ownAddresses: readonly Readonly<Address>[], now: Instant): void;
  handleSecrets(secrets: readonly SharedSecret[], now: Instant): void;
  handleUserRemoved(username: string, now: Instant): void;
  handleDrain(now: Instant): void;
  close(now: Instant): void;
  pollOutput(): TurnServerOutput | undefined;
  pollTimeout(): Instant | undefined;
  handleTimeout(now: Instant): void;
}
