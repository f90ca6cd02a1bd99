/** `postern/ice`: the ICE agent (RFC 8445) as a pure machine, and its lines of SDP (RFC 8839). */
export { IceAgent } from "./agent.ts";
export type { Base, BaseId } from "./base.ts";
export type { Candidate, CandidateType } from "./candidate.ts";
export { DEFAULT_ICE_CONFIG, type IceConfig, type IceRole } from "./config.ts";
export type { IceCredentials } from "./credentials.ts";
export type { HostBase, RelayBase } from "./gathering.ts";
export type { IceEvent, IceOutput, IceState, Path } from "./outputs.ts";
export type { PairFailure, PairState, Route } from "./pair.ts";
export type { CauseCode, ChoiceCode, Reason } from "./reasons.ts";
export type { IceReport, PairReport, ProbingReport, ServerReport } from "./report.ts";
export type { RemoteDescription } from "./restart.ts";
export {
  formatIceLines,
  formatRemoteCandidates,
  HARD_NATS_OPTION,
  type IceAttribute,
  type IceLines,
  parseIceAttribute,
  type RemoteCandidateName,
} from "./sdp.ts";
export { type CandidateLine, formatCandidate, type NamedCandidate, parseCandidate } from "./sdp-candidate.ts";
export type { IceDropReason } from "./state.ts";
