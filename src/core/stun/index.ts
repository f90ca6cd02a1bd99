/** `postern/stun`: the STUN codec, client transactions and URIs (RFC 8489, RFC 7064). */

export { type Address, blankAddress, type Family, formatAddress, formatIp, parseIp } from "../base/address.ts";
export { Deadlines, type Timed } from "../base/deadlines.ts";
export type { Instant } from "../base/machine.ts";
export type { Crypto, HmacKey } from "../base/ports.ts";
export type { DnsQuestion, DnsRecord, Resolution, ServerEndpoint } from "../base/resolution.ts";
export type { DiscoveryTests } from "./behavior/discover.ts";
export type { LifetimeSearch } from "./behavior/lifetime.ts";
export { NatDiscovery, type NatDiscoveryConfig } from "./behavior/nat-discovery.ts";
export type { NatDiscoveryOutput } from "./behavior/output.ts";
export type { DiscoveryStage } from "./behavior/procedure.ts";
export type {
  BehaviorReport,
  BindingLifetime,
  ClassicName,
  Filtering,
  Finding,
  Hairpinning,
  LayerEvidence,
  LongestDatagram,
  Mapping,
  NatLayers,
  Passage,
  PortAllocation,
  ServerSeen,
  UnknownReason,
} from "./behavior/report.ts";
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
export { resolveStun } from "./resolve.ts";
export { formatStunUri, parseStunUri, type StunUri } from "./uri.ts";
export { type DecodeFailure, looksLikeStun, StunView } from "./view.ts";
export { messageId, StunWriter } from "./writer.ts";
