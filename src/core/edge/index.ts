/** `postern/sip-edge`: the registrar, proxy and media relay of a domain as one pure machine; see docs/sip.md. */
export type { CallParty, CallReport, CallState, CallTrouble, TroubleReport } from "./call.ts";
export {
  DEFAULT_EDGE_LIMITS,
  type EdgeConfig,
  type EdgeLimits,
  type EdgeListener,
  type EdgePlaces,
  type Trunk,
} from "./config.ts";
export type { MediaPolicy } from "./media-policy.ts";
export type {
  EdgeEvent,
  EdgeOutput,
  EdgeRefusal,
  SipKeyQuery,
  SipUserKeys,
} from "./outputs.ts";
export { SipEdge } from "./sip-edge.ts";
export type { Site } from "./sites.ts";
export type { EdgeStats } from "./state.ts";
