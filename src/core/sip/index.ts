/**
 * `postern/sip`: SIP (RFC 3261) without sockets: messages, parsed, edited with every other byte kept, and built; transactions;
 * and a user agent's core above them.
 */
export type { DigestAccount } from "./digest/answer.ts";
export type { SipFlow, SipTarget, SipTransport } from "./flow.ts";
export {
  createRequest,
  createResponse,
  type HeaderLine,
  type RequestParts,
  type ResponseParts,
} from "./message/build.ts";
export { MALFORMED, type Malformed, quoted } from "./message/characters.ts";
export type { Credentials } from "./message/credentials.ts";
export type { MessageFailure, Refusal, RefusalCode } from "./message/failure.ts";
export type { HeaderField } from "./message/header-field.ts";
export type { Headers } from "./message/headers.ts";
export { type Judge, judgeRequest, type Verdict } from "./message/judge.ts";
export { type CSeq, type SipMessage, SipRequest, SipResponse } from "./message/message.ts";
export { type BodyPart, bodyParts, withPart } from "./message/multipart.ts";
export type { NameAddress } from "./message/name-address.ts";
export type { Param, Params } from "./message/params.ts";
export { parseMessage } from "./message/parse.ts";
export { reasonPhrase } from "./message/reason-phrase.ts";
export { SipStreamFramer, type StreamFailure, type StreamFrame } from "./message/stream-framer.ts";
export {
  formatUri,
  isSipUri,
  isTelUri,
  type OtherUri,
  parseUri,
  type SipUri,
  type TelUri,
  type Uri,
} from "./message/uri.ts";
export { isSameHost, isSameUri, unescaped } from "./message/uri-comparison.ts";
export { uniqueBranch, type Via } from "./message/via.ts";
export { resolveSip, usualSipPort } from "./resolve/resolve-sip.ts";
export type { ClientTransaction } from "./transaction/client.ts";
export type { TransactionOutput } from "./transaction/outputs.ts";
export type { ServerTransaction } from "./transaction/server.ts";
export { type Sending, Transactions } from "./transaction/transactions.ts";
export type { LocalParty, UaCall, UaCallState } from "./ua/call.ts";
export type { UaPorts } from "./ua/context.ts";
export type { Placing } from "./ua/invite-client.ts";
export type { UaCallEnd, UserAgentOutput } from "./ua/outputs.ts";
export { Registration, type RegistrationConfig, type RegistrationOutput } from "./ua/registration.ts";
export { UserAgent } from "./ua/user-agent.ts";
