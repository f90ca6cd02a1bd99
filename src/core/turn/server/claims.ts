/**
 * A reservation may wait in one shard while whoever brings its token comes to another (RFC 8656 §7.2: a token is good on
 * any 5-tuple of its user). The claimant's Allocate waits in state `binding`; the holder lets go of socket and port at
 * once, or refuses. The port stays the holder's: it is lent, and comes back when the relay is released.
 */
import { type Address, copyAddress, sameAddress } from "../../base/address.ts";
import { equalConstantTime } from "../../base/bytes.ts";
import type { Timed } from "../../base/deadlines.ts";
import { after, type Instant } from "../../base/machine.ts";
import type { RelayPlace } from "../../base/relay-places.ts";
import { ErrorCode } from "../../stun/registry.ts";
import { adoptRelay } from "./allocate-sockets.ts";
import type { Allocation, Reservation } from "./allocation.ts";
import { endAllocation } from "./lifetime.ts";
import { refuse } from "./reply.ts";
import type { ReplyTo } from "./reply-to.ts";
import type { ClaimId, ShardMessage } from "./shard.ts";
import type { ServerState } from "./state.ts";

/** Messages between shards take a turn of the event loop; a shard that has died does not answer. */
const CLAIM_MS = 3_000;

/** What waits for another shard's answer. */
export interface Claim extends Timed {
  readonly kind: "claim";
  readonly id: ClaimId;
  readonly shard: number;
  readonly allocation: Allocation;
}

/** A port of ours that another shard has. */
export interface Loan {
  readonly shard: number;
  readonly place: RelayPlace;
  readonly bound: Readonly<Address>;
}

/** This user's reservation behind `token`, if it is one of this shard. */
export function findReservation(state: ServerState, token: Uint8Array, username: string): Reservation | undefined {
  for (const reservation of state.reservations) {
    if (!equalConstantTime(reservation.token, token)) continue;
    return reservation.username === username ? reservation : undefined;
  }
  return undefined;
}

/** The other shard that holds what this token was given for, if it was given. */
export function holderOf({ shard, tokens }: ServerState, token: Uint8Array): number | undefined {
  const holder = tokens?.shardOf(token);
  if (shard === undefined || holder === undefined || holder === shard.index) return undefined;
  return holder < shard.count ? holder : undefined;
}

export function claimFrom(
  state: ServerState,
  allocation: Allocation,
  shard: number,
  token: Uint8Array,
  now: Instant,
): void {
  const id = ++state.lastClaim;
  const claim: Claim = { kind: "claim", id, shard, allocation, deadline: 0 as Instant, heapIndex: -1 };
  state.claims.set(id, claim);
  state.deadlines.set(claim, after(now, CLAIM_MS));
  const { username } = allocation.credentials;
  state.tell(shard, { type: "claim", claim: id, token: token.slice(), username });
}

/** No answer, or none that helps. */
export function giveUpClaim(state: ServerState, claim: Claim, now: Instant): void {
  forget(state, claim);
  const { allocation } = claim;
  const { reply } = allocation;
  if (allocation.state !== "binding" || reply === undefined) return;
  endAllocation(state, allocation, "relay-failed", now);
  refuseToken(state, reply);
}

/** RFC 8656 §7.2 (5): a token that is not, or no longer, good. */
export function refuseToken(state: ServerState, reply: ReplyTo): void {
  refuse(state, reply, ErrorCode.InsufficientCapacity, "the reservation token is unknown or has expired");
}

function forget(state: ServerState, claim: Claim): void {
  state.deadlines.clear(claim);
  state.claims.delete(claim.id);
}

export function handleShardMessage(state: ServerState, from: number, message: ShardMessage, now: Instant): void {
  if (message.type === "claim") return handOver(state, from, message);
  if (message.type === "port-returned") return endLoan(state, from, message.bound);
  const claim = state.claims.get(message.claim);
  // A claim is answered by whom it was made to.
  const isAwaited = claim !== undefined && claim.shard === from;
  if (message.type === "handed-over") accept(state, from, message, isAwaited ? claim : undefined, now);
  else if (isAwaited) giveUpClaim(state, claim, now);
}

/** Of the holder: whoever comes first gets it, and nobody after that. */
function handOver(
  state: ServerState,
  shard: number,
  { claim, token, username }: ShardMessage & { type: "claim" },
): void {
  const reservation = findReservation(state, token, username);
  if (reservation === undefined) return state.tell(shard, { type: "refused", claim });
  const { relay } = reservation;
  state.deadlines.clear(reservation);
  state.reservations.delete(reservation);
  state.relays.unpublish(relay);
  state.relays.remove(relay);
  state.loans.add({ shard, place: relay.place, bound: relay.bound });
  state.outputs.push({ kind: "handOverRelay", relay: relay.id, shard, claim, bound: relay.bound });
}

function endLoan(state: ServerState, shard: number, bound: Readonly<Address>): void {
  for (const loan of state.loans) {
    if (loan.shard !== shard || !sameAddress(loan.bound, bound)) continue;
    state.loans.delete(loan);
    loan.place.giveBack(bound.port);
    return;
  }
}

/** Of the claimant: the socket is here. Nobody may be waiting for it any more. */
function accept(
  state: ServerState,
  lender: number,
  { claim: id, bound }: ShardMessage & { type: "handed-over" },
  claim: Claim | undefined,
  now: Instant,
): void {
  const place = state.places.at(bound);
  if (claim?.allocation.state === "binding" && place !== undefined) {
    forget(state, claim);
    return adoptRelay(state, claim.allocation, { claim: id, place, bound: copyAddress(bound), lender });
  }
  state.outputs.push({ kind: "declineRelay", claim: id });
  state.tell(lender, { type: "port-returned", bound });
  if (claim !== undefined) giveUpClaim(state, claim, now);
}

/** A shard has died, and everything that it had with it; another takes its place. */
export function handleShardLost(state: ServerState, shard: number, now: Instant): void {
  for (const loan of state.loans) if (loan.shard === shard) endLoan(state, shard, loan.bound);
  for (const claim of [...state.claims.values()]) if (claim.shard === shard) giveUpClaim(state, claim, now);
}
