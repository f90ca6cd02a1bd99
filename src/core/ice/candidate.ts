/** Candidates (RFC 8445 §5.1.1): addresses at which an agent may be reached, its own and its peer's. */
import type { Address } from "../base/address.ts";
import type { Base } from "./base.ts";
import { LEAST_DIRECT_PRIORITY } from "./priority.ts";

/** As SDP names them: host, server-reflexive, peer-reflexive, relayed. */
export type CandidateType = "host" | "srflx" | "prflx" | "relay";

/** What two agents tell each other of a candidate. Its transport is UDP. */
export interface Candidate {
  /** RFC 8445 §5.1.1.3: the same for candidates that are alike in type, base, server and protocol. */
  readonly foundation: string;
  /** 1 to 256. */
  readonly component: number;
  /** 32 bits. */
  readonly priority: number;
  readonly address: Readonly<Address>;
  readonly type: CandidateType;
  /** Whence a reflexive or relayed candidate was obtained: for diagnosis alone. */
  readonly related: Readonly<Address> | undefined;
}

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

/** Whether what goes to, or comes from, this candidate passes a relay. */
export function isRelayed({ type, priority }: Candidate): boolean {
  return type === "relay" || (type === "prflx" && priority < LEAST_DIRECT_PRIORITY);
}
