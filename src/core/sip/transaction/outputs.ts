/** What the transactions ask for and tell. */
import type { SipFlow, SipTarget } from "../flow.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { AnsweredClient, ClientTransaction } from "./client.ts";
import type { ServerTransaction } from "./server.ts";

export type TransactionOutput =
  /** `by` is to be told to `handleSendFailed` when this cannot be sent; for responses nobody is. */
  | { readonly kind: "send"; to: SipFlow | SipTarget; text: string; by: ClientTransaction | undefined }
  /** A new request, to be answered with `respond`. */
  | { readonly kind: "request"; transaction: ServerTransaction }
  /** An ACK for a 2xx, or for nothing that is known. It is never answered. */
  | { readonly kind: "ack"; request: SipRequest; from: SipFlow }
  /** Every response but repetitions. An INVITE may get several 2xx, and each as often as it is repeated. */
  | { readonly kind: "response"; transaction: ClientTransaction | AnsweredClient; response: SipResponse }
  /** No final response came in time, or the request could not be sent. */
  | { readonly kind: "failed"; transaction: ClientTransaction; why: "timeout" | "transport" }
  /** No ACK came for a refusal of an INVITE. Of a 2xx the user of the transactions knows it itself. */
  | { readonly kind: "unacknowledged"; transaction: ServerTransaction };
