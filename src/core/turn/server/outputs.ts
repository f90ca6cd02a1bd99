/** What the TURN server asks of its driver, and what it tells. */
import type { Address } from "../../base/address.ts";
import type { IpFields } from "../../base/ip-fields.ts";
import type { Traffic } from "./account.ts";
import type { ClientPath } from "./client-path.ts";
import type { Flow, RelayId } from "./flow.ts";
import type { ClaimId, ShardMessage } from "./shard.ts";

/** Why an allocation ended. */
export type EndReason =
  | "refreshed-to-zero"
  | "expired"
  | "credentials-expired"
  | "credentials-revoked"
  | "client-closed"
  | "relay-failed"
  | "address-gone"
  | "shutdown";

export interface AllocationSummary {
  /** Counts up from 1; unique in this process. */
  readonly id: number;
  readonly username: string;
  readonly client: ClientPath;
  /** Advertised relayed transport addresses, one or two. */
  readonly relayed: readonly Readonly<Address>[];
}

export type TurnServerEvent =
  | { type: "allocation-created"; allocation: AllocationSummary; lifetime: number }
  | { type: "allocation-ended"; allocation: AllocationSummary; reason: EndReason; seconds: number; traffic: Traffic }
  /** An authenticated request was refused. `why` is a sentence for the operator's log. */
  | { type: "refused"; client: ClientPath; username: string; method: number; code: number; why: string };

/** By name, or where the client hides it, by USERHASH. */
export type UserQuery = { readonly username: string } | { readonly userhash: Uint8Array };

declare const keyQueryId: unique symbol;
export type KeyQueryId = number & { readonly [keyQueryId]?: true };

/** A user's long-term keys in the server's realm (RFC 8489 §18.5.1). */
export interface UserKeys {
  readonly username: string;
  /** 16 bytes. */
  readonly md5: Uint8Array;
  /** 32 bytes. */
  readonly sha256: Uint8Array;
}

export type TurnServerOutput =
  /** To a UDP client: one datagram, with `fields` if it is a peer's. To a stream client: bytes that are a frame already. */
  | { kind: "send"; to: ClientPath; data: Uint8Array; fields?: IpFields }
  /** Open a UDP socket on exactly this address and port; answered by `handleRelayBound` or `handleRelayFailed`. */
  | { kind: "bindRelay"; relay: RelayId; address: Readonly<Address> }
  | { kind: "releaseRelay"; relay: RelayId }
  /** To another shard, whose `handleShardMessage` gets it. */
  | { kind: "tell"; shard: number; message: ShardMessage }
  /** The socket of this relay, which is open, is another shard's from now on: it is told `handed-over`, and gets it so. */
  | { kind: "handOverRelay"; relay: RelayId; shard: number; claim: ClaimId; bound: Readonly<Address> }
  /** The socket that came with the answer to this claim is this relay's; answered as `bindRelay` is. */
  | { kind: "adoptRelay"; relay: RelayId; claim: ClaimId; address: Readonly<Address> }
  /** The same socket is nobody's: to be closed. */
  | { kind: "declineRelay"; claim: ClaimId }
  /** Answered by `handleKey`. */
  | { kind: "lookupKey"; query: KeyQueryId; user: UserQuery; realm: string }
  /** Hints: a datapath may forward this flow by itself from now on, or must stop. Correctness never depends on them. */
  | { kind: "offload" | "withdraw"; flow: Flow }
  | { kind: "event"; event: TurnServerEvent };
