/** What a response is worth (RFC 8489 §6.3.3, §6.3.4, §9.2.5), before the procedure it answers sees it. */
import { Attribute, ErrorCode, isComprehensionRequired, MessageClass } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { type Challenge, isSealed, readChallenge } from "./challenge.ts";
import { type Failure, ownFailure, refusal } from "./failure.ts";
import type { ClientState, Request } from "./state.ts";

export type Verdict =
  | { readonly kind: "success" }
  | { readonly kind: "refused"; readonly failure: Failure }
  | { readonly kind: "challenged"; readonly challenge: Challenge }
  /** As if it had never been received. */
  | { readonly kind: "ignored"; readonly doubt: "integrity-violated" | "bid-down" };

const SUCCESS: Verdict = { kind: "success" };
const USELESS: Verdict = { kind: "refused", failure: ownFailure("bad-response") };
const FORGED: Verdict = { kind: "ignored", doubt: "integrity-violated" };
const BID_DOWN: Verdict = { kind: "ignored", doubt: "bid-down" };

/** Comprehension-required attributes that success responses of these methods may carry. */
const KNOWN: readonly number[] = [
  Attribute.MappedAddress,
  Attribute.XorMappedAddress,
  Attribute.XorRelayedAddress,
  Attribute.Lifetime,
  Attribute.ReservationToken,
  Attribute.Username,
  Attribute.Realm,
  Attribute.Nonce,
  Attribute.MessageIntegrity,
  Attribute.MessageIntegritySha256,
];

/** RFC 8489 §6.3.3: an attribute that must be understood and is not makes the answer useless. */
function hasOnlyKnown(view: StunView): boolean {
  for (let i = 0; i < view.attributeCount; i++) {
    const type = view.typeAt(i);
    if (isComprehensionRequired(type) && !KNOWN.includes(type)) return false;
  }
  return true;
}

/** The error code in the value of ERROR-CODE or ADDRESS-ERROR-CODE; undefined when it is malformed. */
export function errorCodeAt(value: Uint8Array): number | undefined {
  const hundreds = (value[2] as number) & 7;
  const rest = value[3] as number;
  // RFC 8489 §14.8: classes 3 to 6, and numbers below 100.
  return value.length < 4 || hundreds < 3 || hundreds > 6 || rest > 99 ? undefined : hundreds * 100 + rest;
}

export function judge(state: ClientState, request: Request, view: StunView): Verdict {
  const { challenge } = request;
  const value = view.bytes(Attribute.ErrorCode);
  const code = view.class === MessageClass.Error && value !== undefined ? errorCodeAt(value) : undefined;
  if (code === ErrorCode.Unauthenticated || code === ErrorCode.StaleNonce) {
    return judgeChallenge(state, request, view, code);
  }
  // RFC 8489 §9.2.5: all else that answers a sealed request is sealed itself.
  if (challenge !== undefined && !isSealed(view, challenge, state.ports.crypto)) return FORGED;
  if (view.class === MessageClass.Success) return hasOnlyKnown(view) ? SUCCESS : USELESS;
  return { kind: "refused", failure: code === undefined ? ownFailure("bad-response") : refusal(code) };
}

function judgeChallenge(state: ClientState, request: Request, view: StunView, code: ErrorCode): Verdict {
  const before = request.challenge;
  if (request.subject.kind === "keepalive") return { kind: "refused", failure: refusal(code) };
  // What a nonce was too old for is not refused: the same credentials go on, also when there are others by now.
  const credentials = code === ErrorCode.StaleNonce ? (before?.credentials ?? state.credentials) : state.credentials;
  const challenge = readChallenge(view, credentials, state.ports.crypto, before?.realm);
  if (challenge === "bid-down") return BID_DOWN;
  // RFC 8489 §9.2.5: a 401 to credentials for this very realm says that they are wrong, unless there are others by now.
  if (code === ErrorCode.Unauthenticated && before?.credentials === state.credentials) {
    if (typeof challenge === "string" || challenge.realm === before.realm)
      return { kind: "refused", failure: refusal(code) };
  }
  if (typeof challenge === "string") return { kind: "refused", failure: ownFailure(challenge) };
  return { kind: "challenged", challenge };
}
