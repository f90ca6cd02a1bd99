/** What the agent asks of its driver, and what it tells. */
import type { Address } from "../base/address.ts";
import type { BaseId } from "./base.ts";
import type { Candidate } from "./candidate.ts";
import type { IceRole } from "./config.ts";
import type { IceCredentials } from "./credentials.ts";
import type { Reason } from "./reasons.ts";
import type { IceReport } from "./report.ts";

/** A path that carries data both ways. */
export interface Path {
  readonly stream: number;
  readonly component: number;
  readonly kind: "direct" | "relayed";
  /** What is sent leaves from here, … */
  readonly base: BaseId;
  /** … to this candidate, … */
  readonly remote: Candidate;
  /** … and is seen by the peer as coming from this one. */
  readonly local: Candidate;
  /** Milliseconds; undefined: not measured. */
  readonly roundTrip: number | undefined;
}

/**
 * `connected`: every component has a selected path. `disconnected`: one of them is not answered at present, or was lost
 * with its address. `failed`: nothing more will happen without a restart.
 */
export type IceState = "new" | "checking" | "connected" | "disconnected" | "failed" | "closed";

export type IceEvent =
  /** Tell the peer of it, if it is still told candidates one by one (RFC 8838 §8). */
  | { readonly type: "candidate"; readonly stream: number; readonly candidate: Candidate }
  /** There are no more candidates, as far as can be known within the budget (RFC 8838 §8.2). */
  | { readonly type: "gathered" }
  /** Credentials to tell the peer, in a new description: at first, and after a restart. */
  | { readonly type: "credentials"; readonly credentials: IceCredentials; readonly why: "first" | "own" | "peer" }
  /** A component can send from now on, though nothing is selected yet (RFC 8445 §12.1). */
  | { readonly type: "usable"; readonly path: Path }
  | { readonly type: "selected"; readonly path: Path; readonly reason: Reason }
  /** RFC 8445 §7.3.1.1: both agents took the same role, and this one has given way. */
  | { readonly type: "role"; readonly role: IceRole }
  /** Said by a driver that hides addresses behind names, and can answer for none: the peer is told no host candidate. */
  | { readonly type: "names-not-offered"; readonly why: string }
  | { readonly type: "state"; readonly state: IceState; readonly reason: Reason | undefined }
  /** Not connected after five seconds: why that probably is. It is no verdict. */
  | { readonly type: "likely-cause"; readonly stream: number; readonly reason: Reason; readonly report: IceReport }
  /** The verdict: `state` says `failed` at the same time. */
  | { readonly type: "failed"; readonly stream: number; readonly reason: Reason; readonly report: IceReport };

export type IceOutput =
  /** Send from this socket; or, where the base is an allocation, through its relay. */
  | { readonly kind: "send"; readonly base: BaseId; readonly to: Readonly<Address>; readonly data: Uint8Array }
  /** Ask the relay for a permission; answered by `handlePermitted` or `handleNotPermitted`. The port means nothing. */
  | { readonly kind: "permit"; readonly base: BaseId; readonly peer: Readonly<Address> }
  /** Open another socket on the address of `like`; answered by `handleSocketOpened` or `handleSocketFailed`. */
  | { readonly kind: "openSocket"; readonly like: BaseId }
  /** Close this socket, which was opened when asked for. */
  | { readonly kind: "closeSocket"; readonly base: BaseId }
  | { readonly kind: "event"; readonly event: IceEvent };
