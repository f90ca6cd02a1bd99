/**
 * A server may be several: machines of one configuration that share its addresses, users and quotas, each with clients
 * and relay ports of its own. Each is a shard. What one has to know of the others at once it asks here, synchronously;
 * what they have to do for it is an output, and their answer a later input (`claims.ts`). A server that is alone has none
 * of this.
 */
import type { Address } from "../../base/address.ts";
import type { AllocationCounts } from "./quota.ts";

export interface Shard {
  /** Which one this is, counted from 0; 255 at most. */
  readonly index: number;
  readonly count: number;
  /** How many had this number before. */
  readonly incarnation: number;
  readonly counts: AllocationCounts;
  readonly owners: RelayOwners;
  readonly budgets: SharedBudgets;
  /** Hides in a reservation's token whose it is. The same for all shards, 16 bytes or more. */
  readonly tokenKey: Uint8Array;
}

/** What sources have spent with all shards together: slots of `SourceBudget`s. */
export interface SharedBudgets {
  readonly seed: number;
  readonly strangers: Int32Array;
  readonly acquaintances: Int32Array;
  /** Answers of NAT behaviour discovery that leave by another socket. */
  readonly reflections: Int32Array;
}

/** No shard. */
export const NOBODY = -1;

/** Which shard has an open relay at which transport address. */
export interface RelayOwners {
  /** The other shard that has one here, as bound or as advertised; `NOBODY` where none has. Asked for every packet. */
  find(address: Readonly<Address>): number;
  /** This shard has one from now on, or no more, that is bound here. */
  publish(bound: Readonly<Address>): void;
  unpublish(bound: Readonly<Address>): void;
}

declare const claimId: unique symbol;
/** Names a claim among those of the shard that makes it, and of all that had its number before. */
export type ClaimId = number & { readonly [claimId]?: true };

const CLAIMS_EACH = 2 ** 32;

export function firstClaim(incarnation: number): ClaimId {
  return incarnation * CLAIMS_EACH;
}

/** Which incarnation of its shard made this claim. */
export function incarnationOf(claim: ClaimId): number {
  return Math.floor(claim / CLAIMS_EACH);
}

/** What shards tell each other; plain data. */
export type ShardMessage =
  /** Whoever knows this token wants what is reserved. Answered by `refused`, or by `handed-over`. */
  | { readonly type: "claim"; readonly claim: ClaimId; readonly token: Uint8Array; readonly username: string }
  | { readonly type: "refused"; readonly claim: ClaimId }
  /** The socket bound here comes with this message, and the port is lent. */
  | { readonly type: "handed-over"; readonly claim: ClaimId; readonly bound: Readonly<Address> }
  /** A port that was lent is free again. */
  | { readonly type: "port-returned"; readonly bound: Readonly<Address> };
