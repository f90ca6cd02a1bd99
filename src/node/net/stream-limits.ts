/** How much a client on TCP or TLS may take, and how long it may take for it. Times are in milliseconds. */
import { openDescriptorLimit } from "../descriptors.ts";

export interface ConnectionLimits {
  /** Connections at once, over all listeners. */
  readonly connections: number;
  /** Connections at once from one source (IPv4 address, IPv6 /56). */
  readonly connectionsPerSource: number;
  /**
   * Connections that have never been settled (TLS: nor perhaps finished their handshake), over all listeners. The rest
   * of `connections` is out of strangers' reach.
   */
  readonly halfOpen: number;
  /** The same, from one source. */
  readonly halfOpenPerSource: number;
  /** From accept to the first frame. */
  readonly firstFrameMs: number;
  /** From the first byte of a frame to its last: a slow loris ends here. */
  readonly frameMs: number;
  /** How long a client may leave unread what was sent to it. */
  readonly stalledMs: number;
}

/** The same of TURN: what is settled has had an allocation. */
export interface StreamLimits extends ConnectionLimits {
  /** From accept, or the end of an allocation, to the next; what is said meanwhile prolongs nothing. */
  readonly withoutAllocationMs: number;
  /** The longest frame, header included. */
  readonly frameBytes: number;
  /** Unsent bytes past which media for this client is dropped. */
  readonly mediaBacklog: number;
  /** Unsent bytes past which a response closes the connection. */
  readonly controlBacklog: number;
}

export const defaultStreamLimits: StreamLimits = {
  connections: 10_000,
  connectionsPerSource: 256,
  halfOpen: 4_096,
  halfOpenPerSource: 64,
  firstFrameMs: 10_000,
  frameMs: 10_000,
  withoutAllocationMs: 60_000,
  stalledMs: 30_000,
  frameBytes: 16_384 + 20,
  mediaBacklog: 131_072,
  controlBacklog: 262_144,
};

/**
 * `defaults`, but for what is given. Connections may not eat the descriptors that relays need: a quarter is theirs,
 * unless told otherwise, and half of it is out of strangers' reach.
 */
export function limitsWithin<L extends ConnectionLimits>(defaults: L, given: Partial<L> = {}): L {
  const share = Math.floor((openDescriptorLimit() ?? Number.POSITIVE_INFINITY) / 4);
  const connections = given.connections ?? Math.min(defaults.connections, share);
  const halfOpen = Math.min(defaults.halfOpen, Math.ceil(connections / 2));
  return { ...defaults, halfOpen, ...given, connections };
}
