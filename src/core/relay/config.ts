/** What a media relay is told when it starts. */
import type { Address } from "../base/address.ts";
import type { PortRange, RelayAddress } from "../base/relay-places.ts";

export interface RelayQuotas {
  /** Calls at once: in all, and of one owner. */
  readonly sessions: number;
  readonly sessionsPerOwner: number;
  /** Parties of one call: the caller and every phone that rings. */
  readonly legsPerSession: number;
  /** Streams in one description. */
  readonly streams: number;
  /** Sockets: in all, and of one call. */
  readonly ports: number;
  readonly portsPerSession: number;
}

export interface MediaRelayConfig {
  /** Where ports are opened, in order of preference. */
  readonly addresses: readonly RelayAddress[];
  /** Inclusive. A stream of RTP takes an even port and the next. */
  readonly ports: PortRange;
  /** Every address of this host: media is never sent there because a description says so. */
  readonly ownAddresses: readonly Readonly<Address>[];
  readonly quotas: RelayQuotas;
  /** Milliseconds without any packet after which a call that nobody holds is said to be silent. */
  readonly mediaTimeout: number;
  /** Milliseconds after which a call that was never confirmed is said to be over. */
  readonly setupTimeout: number;
  /** Packets in a row with nothing unusual about them, after which media may be forwarded without being seen. */
  readonly settledAfter?: number;
}

export const DEFAULT_RELAY_QUOTAS: RelayQuotas = {
  sessions: 10_000,
  sessionsPerOwner: 100,
  legsPerSession: 16,
  streams: 8,
  ports: 40_000,
  portsPerSession: 64,
};

/** A fifth of a second of speech. */
export const DEFAULT_SETTLED_AFTER = 10;
export const DEFAULT_MEDIA_TIMEOUT_MS = 60_000;
/** Four hours: nobody talks for longer whose media goes past us, and nobody holds for longer. */
export const UNSEEN_TIMEOUT_MS = 14_400_000;
/** RFC 3261 §16.6: an INVITE may ring for longer than three minutes, and every provisional response begins them anew. */
export const DEFAULT_SETUP_TIMEOUT_MS = 600_000;
