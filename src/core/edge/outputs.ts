/** What the SIP edge asks of its driver, and what it tells. */
import type { MediaRelayOutput } from "../relay/outputs.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import type { BindingRecord } from "../sip/registrar/binding.ts";
import type { BindingChange } from "../sip/registrar/registrar.ts";
import type { ClientTransaction } from "../sip/transaction/client.ts";
import type { CallReport, CallTrouble } from "./call.ts";
import type { ServiceMedia } from "./services/tone-stream.ts";

declare const keyQueryId: unique symbol;

/** Names one question for a user's keys. Never used again. */
export type SipKeyQuery = number & { readonly [keyQueryId]?: true };

/** What is known of a user's password: the hashes of name, realm and password. */
export interface SipUserKeys {
  readonly md5: Uint8Array;
  readonly sha256: Uint8Array;
}

/** Why a request was refused or dropped. */
export type EdgeRefusal = "malformed" | "stranger" | "over-budget" | "scanner" | "wrong-password" | "foreign" | "busy";

export type EdgeEvent =
  /** Somebody has shown credentials that are none; `user` is whom they name. */
  | { readonly type: "wrong-password"; readonly user: string; readonly method: string; readonly flow: SipFlow }
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
  | Extract<MediaRelayOutput, { kind: "bindPort" | "releasePort" }>;
