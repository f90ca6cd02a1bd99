/** What the SIP edge asks of its driver, and what it tells. */
import type { MediaRelayOutput } from "../relay/outputs.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import type { BranchFailure } from "../sip/proxy/fork.ts";
import type { BindingRecord } from "../sip/registrar/binding.ts";
import type { BindingChange } from "../sip/registrar/registrar.ts";
import type { ClientTransaction } from "../sip/transaction/client.ts";
import type { CallReport, CallTrouble } from "./call.ts";
import type { QuotaName } from "./quotas.ts";
import type { ServiceMedia } from "./services/tone-stream.ts";

declare const keyQueryId: unique symbol;

/** Names one question for a user's keys. Never used again. */
export type SipKeyQuery = number & { readonly [keyQueryId]?: true };

/** What is known of a user's password: the hashes of name, realm and password. */
export interface SipUserKeys {
  readonly md5: Uint8Array;
  readonly sha256: Uint8Array;
}

/** What there is no room for: for all together, or for one user, source, connection or trunk. */
export type EdgeLimit = "over-budget" | "trunk-budget" | "busy" | "calls" | QuotaName;

/**
 * Why a request was refused or dropped. `stranger`: no password was shown, which is how most begin; `banned`: so many wrong
 * ones were, of that user from that source, that for a while none is looked at.
 */
export type EdgeRefusal = "malformed" | "stranger" | "scanner" | "wrong-password" | "banned" | "foreign" | EdgeLimit;

export type EdgeEvent =
  /** Somebody has shown credentials that are none; `user` is whom they name. */
  | { readonly type: "wrong-password"; readonly user: string; readonly method: string; readonly flow: SipFlow }
  /** There was no room for a request; `name` is the user's or the trunk's, where that is known. */
  | { readonly type: "limited"; readonly limit: EdgeLimit; readonly name: string | undefined; readonly flow: SipFlow }
  /** A trunk's server was silent, nothing could be sent to it, or it has said 503: for a while others are tried before it. */
  | {
      readonly type: "trunk-failed";
      readonly trunk: string;
      readonly why: BranchFailure["why"];
      readonly target: SipTarget;
    }
  | { readonly type: "binding"; readonly what: BindingChange; readonly binding: BindingRecord }
  | { readonly type: "call"; readonly what: "started" | "ringing" | "answered" | "ended"; readonly call: CallReport }
  /** Something that a call's record names from now on; `name`: whose it is. */
  | {
      readonly type: "trouble";
      readonly what: CallTrouble;
      readonly name: string | undefined;
      readonly call: CallReport;
    };

export type EdgeOutput =
  | { readonly kind: "send"; to: SipFlow | SipTarget; text: string; by: ClientTransaction | undefined }
  /** Answered by `handleKeys`. */
  | { readonly kind: "lookupKeys"; readonly query: SipKeyQuery; readonly username: string }
  /** Somebody who has proven who it is uses this connection: it may stay. */
  | { readonly kind: "settle"; readonly connection: number }
  | { readonly kind: "store" | "forget"; readonly binding: BindingRecord }
  | { readonly kind: "event"; readonly event: EdgeEvent }
  /** To be sent at once: the bytes are used again. */
  | ServiceMedia
  | Extract<MediaRelayOutput, { kind: "bindPort" | "releasePort" | "offload" | "withdraw" }>;
