/** `postern/turn-client`: a relayed address on a TURN server, over UDP, TCP and TLS. */
export { type Address, formatAddress, formatIp } from "../../core/base/address.ts";
export type { Reallocation } from "../../core/turn/client/config.ts";
export type { Failure, FailureReason } from "../../core/turn/client/failure.ts";
export type { Allocated, TurnClientEvent } from "../../core/turn/client/outputs.ts";
export type { OnData } from "./client-driver.ts";
export type { TurnAllocationOptions, TurnCredentials } from "./options.ts";
export { type Peer, parsePeer } from "./peer.ts";
export type { TlsOptions } from "./stream-path.ts";
export { TurnAllocation } from "./turn-allocation.ts";
