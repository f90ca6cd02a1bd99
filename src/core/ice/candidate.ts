/** Candidates (RFC 8445 §5.1.1): addresses at which an agent may be reached, its own and its peer's. */
import type { Address } from "../base/address.ts";
import type { Candidate, CandidateType } from "../sdp/candidate.ts";
import type { Base } from "./base.ts";
import { LEAST_DIRECT_PRIORITY } from "./priority.ts";

export type { Candidate, CandidateType };

export interface LocalCandidate extends Candidate {
  readonly base: Base;
  /** The STUN server that saw it; undefined for what no server saw. */
  readonly server: Readonly<Address> | undefined;
}

export interface RemoteCandidate extends Candidate {
  /** The peer told it; false for a peer-reflexive one that its check has shown. */
  readonly isTold: boolean;
  /** Another of the same socket, that a NAT has mapped again: what works with one works with the other. */
  readonly isSpare: boolean;
}

/** The peer does not tell which socket: 0.0.0.0 or :: stand in its place (RFC 8839 §5.1). */
export function isHidden({ w0, w1, w2, w3, port }: Readonly<Address>): boolean {
  return port === 0 || (w0 | w1 | w2 | w3) === 0;
}

/** Whether what goes to, or comes from, this candidate passes a relay. */
export function isRelayed({ type, priority }: Candidate): boolean {
  return type === "relay" || (type === "prflx" && priority < LEAST_DIRECT_PRIORITY);
}
