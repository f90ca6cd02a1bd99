/** `postern/relay`: the relay of calls' media as a pure machine; see docs/relay.md. */
export type { PortRange, RelayAddress } from "../base/relay-places.ts";
export {
  DEFAULT_MEDIA_TIMEOUT_MS,
  DEFAULT_RELAY_QUOTAS,
  DEFAULT_SETUP_TIMEOUT_MS,
  type MediaRelayConfig,
  type RelayQuotas,
} from "./config.ts";
export type { DescriptionRequest } from "./describe.ts";
export type { HearingReport } from "./hearing.ts";
export type { LegParty } from "./leg.ts";
export type { ForwardedMedia, MediaFlow, MediaTraits } from "./media-flow.ts";
export { MediaRelay } from "./media-relay.ts";
export {
  type DescriptionRefusal,
  type LegId,
  type MediaRelayOutput,
  type PortId,
  RELAY_DROPS,
  type RelayDrop,
  type RelayDrops,
  type RelayEvent,
  type Route,
  type SessionId,
} from "./outputs.ts";
export type { ComponentReport, LegReport, SessionReport, StreamReport } from "./report.ts";
export type { MediaRelayStats } from "./state.ts";
