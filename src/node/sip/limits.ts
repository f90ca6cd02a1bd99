/** How much a SIP neighbour on TCP or TLS may take, and how long it may take for it. Times are in milliseconds. */
import type { ConnectionLimits } from "../net/stream-limits.ts";

/** Frames are messages: a keep-alive is none. What is settled has registered, or is a trunk's. */
export interface SipStreamLimits extends ConnectionLimits {
  /** From accept, or since it was settled last; what is said meanwhile prolongs nothing. */
  readonly unsettledMs: number;
  /** Unsent bytes past which a message closes the connection. */
  readonly backlog: number;
  /** Connections that we open, at once. */
  readonly outgoing: number;
  /** How long one may take to be open, its TLS handshake included. */
  readonly connectMs: number;
  /** What may wait for one to be open: messages, and their bytes. */
  readonly waitingMessages: number;
  readonly waitingBytes: number;
  /** How long one that we opened stays without a message either way. */
  readonly idleMs: number;
}

export const defaultSipStreamLimits: SipStreamLimits = {
  connections: 20_000,
  // An office of phones is one address.
  connectionsPerSource: 4_096,
  halfOpen: 4_096,
  halfOpenPerSource: 256,
  firstFrameMs: 10_000,
  frameMs: 10_000,
  stalledMs: 30_000,
  unsettledMs: 60_000,
  backlog: 262_144,
  outgoing: 1_024,
  connectMs: 5_000,
  waitingMessages: 64,
  waitingBytes: 262_144,
  // RFC 3261 §18: at least as long as a transaction may take; peers who ring through it should not wait for another.
  idleMs: 600_000,
};
