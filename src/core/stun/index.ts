/** `postern/stun`: the STUN codec (RFC 8489). */
export { type Address, blankAddress, type Family, formatAddress, formatIp, parseIp } from "../base/address.ts";
export type { Crypto, HmacKey } from "../base/ports.ts";
export { longTermKey, userhash } from "./credentials.ts";
export { hasIntegritySha1, hasIntegritySha256 } from "./integrity.ts";
export { opaqueString } from "./opaque-string.ts";
export { Attribute, ErrorCode, MessageClass, Method, PasswordAlgorithmNumber } from "./registry.ts";
export { type DecodeFailure, looksLikeStun, StunView } from "./view.ts";
export { messageId, StunWriter } from "./writer.ts";
