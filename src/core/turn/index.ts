/** `postern/turn`: TURN server and client as pure machines (RFC 8656), and the pieces around them. */
export { CHANNEL_HEADER_LENGTH, channelDataLength, encodeChannelHeader, looksLikeChannelData } from "./channel-data.ts";
export {
  DEFAULT_KEEPALIVE,
  DEFAULT_REALLOCATION,
  type Reallocation,
  type TurnClientConfig,
} from "./client/config.ts";
export type { Failure, FailureReason, OwnReason } from "./client/failure.ts";
export type { Framing } from "./client/media.ts";
export type { Allocated, TurnClientEvent, TurnClientOutput } from "./client/outputs.ts";
export type { ClientDropReason, Incoming } from "./client/state.ts";
export { TurnClient } from "./client/turn-client.ts";
export { TurnSession, type TurnSessionOutput } from "./client/turn-session.ts";
export { resolveTurn } from "./resolve.ts";
export type { Account, Traffic } from "./server/account.ts";
export type { ClientPath } from "./server/client-path.ts";
export type { Budgets, PeerPolicy, Quotas, RelayAddress, SharedSecret, TurnServerConfig } from "./server/config.ts";
export type { DiscoverySocket, DiscoverySquare } from "./server/discovery-sites.ts";
export { countOffloaded, type Flow, type Forward, type RelayId } from "./server/flow.ts";
export type {
  AllocationSummary,
  EndReason,
  KeyQueryId,
  TurnServerEvent,
  TurnServerOutput,
  UserKeys,
  UserQuery,
} from "./server/outputs.ts";
export type { DropReason, TurnServerStats } from "./server/stats.ts";
export { TurnServer } from "./server/turn-server.ts";
export { type FramingFailure, StreamFramer } from "./stream-framing.ts";
export { formatTurnUri, parseTurnUri, type TurnUri } from "./uri.ts";
