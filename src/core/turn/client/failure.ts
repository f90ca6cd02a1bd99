/** Why something did not work: for programs a stable reason, for people a sentence. */
import { ErrorCode } from "../../stun/registry.ts";

/** What the client finds by itself. */
export type OwnReason =
  /** Nobody answers. */
  | "timed-out"
  /** Answers came that were not made by who knows the password. */
  | "integrity-violated"
  /** Somebody on the path takes stronger password algorithms away (RFC 8489 §9.2.1). */
  | "bid-down"
  | "no-common-algorithm"
  | "bad-response"
  | "connect-failed"
  | "connection-lost"
  /** The server does not know the allocation any more. */
  | "allocation-gone"
  /** The client's address has changed, as the server sees it. */
  | "address-changed"
  /** The lifetime ran out. */
  | "expired"
  /** The server prolongs the allocation ever less, as it does when the credentials end. */
  | "expiring"
  /** As asked for. */
  | "closed";

export type FailureReason =
  | OwnReason
  | "try-alternate"
  | "bad-request"
  | "unauthenticated"
  | "forbidden"
  | "unknown-attribute"
  | "allocation-mismatch"
  | "stale-nonce"
  | "family-not-supported"
  | "wrong-credentials"
  | "transport-not-supported"
  | "peer-family-mismatch"
  | "quota-reached"
  | "server-error"
  | "insufficient-capacity"
  /** With another error code. */
  | "refused";

export interface Failure {
  readonly reason: FailureReason;
  /** The error code of the response; 0 where there was none. */
  readonly code: number;
  /** A sentence. */
  readonly why: string;
}

const OWN: Readonly<Record<OwnReason, string>> = {
  "timed-out": "The server does not answer: the network is down, a firewall drops the packets, or the server is.",
  "integrity-violated":
    "Answers came that do not prove to know the password: it is wrong, or somebody on the path changes messages.",
  "bid-down":
    "The challenge lacks the password algorithms that its nonce promises: somebody on the path takes them away.",
  "no-common-algorithm": "The server takes neither MD5 nor SHA-256 keys.",
  "bad-response": "The server's answer lacks what it must have.",
  "connect-failed": "The server cannot be connected to.",
  "connection-lost": "The connection to the server was closed.",
  "allocation-gone": "The server does not know the allocation any more: it was restarted, or has ended the session.",
  "address-changed":
    "The client's own address has changed on the way to the server, and with it the allocation is lost.",
  expired: "The allocation's lifetime ran out: the server did not prolong it.",
  expiring: "The server prolongs the allocation ever less: its credentials are about to expire.",
  closed: "The allocation was closed, as asked for.",
};

const REFUSALS: Readonly<Record<number, readonly [FailureReason, string]>> = {
  [ErrorCode.TryAlternate]: ["try-alternate", "The server sends its clients to another one that cannot be used."],
  [ErrorCode.BadRequest]: ["bad-request", "The server does not understand the request."],
  [ErrorCode.Unauthenticated]: ["unauthenticated", "User name and password do not fit, or have expired."],
  [ErrorCode.Forbidden]: ["forbidden", "The server does not relay to this peer."],
  [ErrorCode.UnknownAttribute]: ["unknown-attribute", "The server does not know a feature that was asked for."],
  [ErrorCode.AllocationMismatch]: [
    "allocation-mismatch",
    "The server holds another allocation for this client's address and port.",
  ],
  [ErrorCode.StaleNonce]: ["stale-nonce", "The server calls every nonce stale that it gives."],
  [ErrorCode.AddressFamilyNotSupported]: ["family-not-supported", "The server has no relay address of this family."],
  [ErrorCode.WrongCredentials]: ["wrong-credentials", "The allocation was made with other credentials."],
  [ErrorCode.UnsupportedTransportProtocol]: ["transport-not-supported", "The server does not relay UDP."],
  [ErrorCode.PeerAddressFamilyMismatch]: [
    "peer-family-mismatch",
    "The allocation has no relayed address of the peer's family.",
  ],
  [ErrorCode.AllocationQuotaReached]: [
    "quota-reached",
    "The user, or the server, has all the allocations it may have.",
  ],
  [ErrorCode.ServerError]: ["server-error", "The server failed, and says to try again."],
  [ErrorCode.InsufficientCapacity]: [
    "insufficient-capacity",
    "The server is full, is shutting down, or has no such port left.",
  ],
};

export function ownFailure(reason: OwnReason): Failure {
  return { reason, code: 0, why: OWN[reason] };
}

/** What an error response means. */
export function refusal(code: number): Failure {
  const [reason, why] = REFUSALS[code] ?? ["refused" as const, `The server refuses with error ${code}.`];
  return { reason, code, why };
}
