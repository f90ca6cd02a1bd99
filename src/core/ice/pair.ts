/**
 * A pair (RFC 8445 §6.1.2): a base of ours and a candidate of the peer's. Reflexive candidates of ours form no pairs of
 * their own, for what is sent from them is sent from their base.
 */
import type { Address } from "../base/address.ts";
import type { Timed } from "../base/deadlines.ts";
import type { Instant } from "../base/machine.ts";
import type { ClientTransaction } from "../stun/client-transaction.ts";
import type { Base } from "./base.ts";
import { isRelayed, type LocalCandidate, type RemoteCandidate } from "./candidate.ts";
import type { Checklist } from "./checklist.ts";
import { pairPriority } from "./priority.ts";
import type { Ask } from "./state.ts";

export type PairState = "frozen" | "waiting" | "in-progress" | "succeeded" | "failed";

/** Why a pair failed. */
export type PairFailure =
  /** Every repetition of the check went unanswered. */
  | "unanswered"
  /** The answer came from elsewhere, or to elsewhere (RFC 8445 §7.2.5.2.1). */
  | "asymmetric"
  /** The peer answered with an error that means something. */
  | "refused"
  /** The relay refuses to send to this peer. */
  | "permission-refused"
  /** The address it was sent from is gone. */
  | "base-lost"
  /** It was in use, and the peer stopped answering (RFC 7675). */
  | "consent-expired";

/** Where data goes: what `send` returns, for as long as it is the way. */
export interface Route {
  readonly base: Base;
  readonly remoteAddress: Readonly<Address>;
}

export class CandidatePair implements Route {
  readonly list: Checklist;
  readonly base: Base;
  /** The candidate that the base itself is. */
  readonly local: LocalCandidate;
  remote: RemoteCandidate;
  priority: bigint;
  state: PairState = "frozen";
  failure: PairFailure | undefined;
  /** When its check was first sent; undefined: not since it became Waiting. */
  sentAt: Instant | undefined;
  /** How many datagrams its checks took. */
  checksSent = 0;
  /** A check has succeeded, and none has failed since. */
  isValid = false;
  /** The candidate that the peer saw (RFC 8445 §7.2.5.3.1). */
  mapped: LocalCandidate | undefined;
  /** An authenticated message came from the remote candidate to the base. */
  isHeard = false;
  /** The peer has sent USE-CANDIDATE on it. */
  isWished = false;
  /** Agreed upon with the peer (RFC 8445 §8.1). */
  isNominated = false;
  /** A check that nominates it is on its way. */
  isNominating = false;
  /** Milliseconds; undefined: not measured. */
  roundTrip: number | undefined;
  transaction: ClientTransaction<Ask> | undefined;
  /** Datagrams of the application. */
  packetsSent = 0;
  bytesSent = 0;

  constructor(list: Checklist, local: LocalCandidate, remote: RemoteCandidate, isControlling: boolean) {
    this.list = list;
    this.base = local.base;
    this.local = local;
    this.remote = remote;
    this.priority = this.#priority(isControlling);
  }

  get component(): number {
    return this.base.component;
  }

  get remoteAddress(): Readonly<Address> {
    return this.remote.address;
  }

  /** RFC 8445 §6.1.2.6: pairs of one foundation are likely to share their fate. */
  get foundation(): string {
    return `${this.local.foundation}:${this.remote.foundation}`;
  }

  get isRelayed(): boolean {
    return this.base.kind === "relay" || isRelayed(this.remote);
  }

  /** RFC 8445 §6.1.2.3: it depends on who is controlling. */
  weigh(isControlling: boolean): void {
    this.priority = this.#priority(isControlling);
  }

  #priority(isControlling: boolean): bigint {
    const [own, theirs] = [this.local.priority, this.remote.priority];
    return isControlling ? pairPriority(own, theirs) : pairPriority(theirs, own);
  }
}

export interface Timer<Kind extends string> extends Timed {
  readonly kind: Kind;
}
