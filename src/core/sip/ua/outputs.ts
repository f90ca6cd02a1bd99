/** What a user agent asks for and tells. Descriptions are session descriptions as text, which the agent never reads. */
import type { SipFlow, SipTarget } from "../flow.ts";
import type { UaCall } from "./call.ts";

/**
 * Why a call is over. `hung-up`: by the other side; `ended`: by us; `cancelled`: by the caller before it was answered;
 * `refused`: `status` says how; `unacknowledged`: no ACK came for our answer; `no-answer`: our offer got none;
 * `lost`: a request within it was not answered, or the other side knows nothing of it.
 */
export type UaCallEnd = "hung-up" | "ended" | "cancelled" | "refused" | "unacknowledged" | "no-answer" | "lost";

export type UserAgentOutput =
  /** An ACK, which has no transaction. */
  | { readonly kind: "send"; readonly to: SipFlow | SipTarget; readonly text: string }
  /** Somebody calls: `ring`, `answer`, `refuse`. Without an offer the answer is one. */
  | { readonly kind: "incoming"; readonly call: UaCall; readonly offer: string | undefined }
  /** Somewhere it rings, or speaks before it is answered: `description` is then where. */
  | {
      readonly kind: "progress";
      readonly call: UaCall;
      readonly status: number;
      readonly tag: string;
      readonly description: string | undefined;
    }
  /** Somebody has answered. `agreed` or `offered` follows. */
  | { readonly kind: "answered"; readonly call: UaCall }
  /** Our answer has arrived. */
  | { readonly kind: "confirmed"; readonly call: UaCall }
  /** The other side offers, or (undefined) wants an offer: `answer` or `refuse`. */
  | { readonly kind: "offered"; readonly call: UaCall; readonly offer: string | undefined }
  /** What was offered is offered no more. */
  | { readonly kind: "withdrawn"; readonly call: UaCall }
  /** The answer to our offer. */
  | { readonly kind: "agreed"; readonly call: UaCall; readonly answer: string }
  /** Our offer within a call was refused; what was agreed before goes on. */
  | { readonly kind: "declined"; readonly call: UaCall; readonly status: number }
  /** Our offer met one of the other side's: now is the time to offer anew, if it is still wanted. */
  | { readonly kind: "offer-again"; readonly call: UaCall }
  | {
      readonly kind: "ended";
      readonly call: UaCall;
      readonly why: UaCallEnd;
      readonly status: number | undefined;
      readonly reason: string | undefined;
    };
