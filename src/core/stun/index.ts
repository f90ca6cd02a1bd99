/** `postern/stun`: the STUN codec, client transactions and URIs (RFC 8489, RFC 7064). */
export { type Address, blankAddress, type Family, formatAddress, formatIp, parseIp } from "../base/address.ts";
export { Deadlines, type Timed } from "../base/deadlines.ts";
export type { Crypto, HmacKey } from "../base/ports.ts";
export {
  type ClientTransaction,
  ClientTransactions,
  STREAM_TIMING,
  type TransactionDeadlines,
  type TransactionTiming,
  UDP_TIMING,
} from "./client-transaction.ts";
export { longTermKey, userhash } from "./credentials.ts";
export { hasIntegritySha1, hasIntegritySha256 } from "./integrity.ts";
export { opaqueString } from "./opaque-string.ts";
export { Attribute, ErrorCode, MessageClass, Method, PasswordAlgorithmNumber } from "./registry.ts";
export { formatStunUri, parseStunUri, type StunUri } from "./uri.ts";
export { type DecodeFailure, looksLikeStun, StunView } from "./view.ts";
export { messageId, StunWriter } from "./writer.ts";
