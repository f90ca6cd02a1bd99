/** What a TURN server is told when it starts. Times are in seconds unless a name says otherwise. */
import type { Address } from "../../base/address.ts";
import type { Prefix } from "../../base/prefix.ts";
import type { RelayAddress } from "../../base/relay-places.ts";

export type { RelayAddress };

/** A secret shared with the application that hands out time-limited credentials. */
export interface SharedSecret {
  /** The secret's bytes: for a secret given as text, its UTF-8. */
  readonly secret: Uint8Array;
  /** How the password is made: base64(HMAC(secret, username)). */
  readonly hash: "sha1" | "sha256";
}

export interface Quotas {
  /** Allocations at once; the same for the whole server, per user, and per source (IPv4 address, IPv6 /56). */
  readonly allocations: number;
  readonly allocationsPerUser: number;
  readonly allocationsPerSource: number;
  /** Per allocation. */
  readonly permissions: number;
  readonly channels: number;
  /** New peer addresses per allocation and second; a burst of four seconds' worth is allowed. */
  readonly newPeersPerSecond: number;
  /** Relayed payload bytes per allocation, direction and second; a burst of one second's worth, or the longest datagram. 0: no limit. */
  readonly bytesPerSecond: number;
}

export interface Budgets {
  /** Answers per second to one source (IPv4 address, IPv6 /56) that has not proven its return path; burst: twice. */
  readonly unauthenticatedPerSecond: number;
  /** Requests with a valid nonce per second from one source; burst: twice. */
  readonly requestsPerSecond: number;
}

export interface PeerPolicy {
  /** Exceptions from the built-in list of forbidden ranges and from `deny`. */
  readonly allow: readonly Prefix[];
  readonly deny: readonly Prefix[];
  /** Peer ports that may be reached, inclusive; undefined: all. */
  readonly ports: { readonly min: number; readonly max: number } | undefined;
}

export interface TurnServerConfig {
  /** Prepared with OpaqueString; at most 32 bytes, so that a challenge stays small. */
  readonly realm: string;
  /** In order of preference; may change later by `handleAddresses`. */
  readonly relays: readonly RelayAddress[];
  /** Every address of this host: never a peer, but for hand-over between live allocations. */
  readonly ownAddresses: readonly Readonly<Address>[];
  /** Ports of relayed transport addresses, inclusive. */
  readonly relayPorts: { readonly min: number; readonly max: number };
  /** Every one is accepted: several at once make rotation possible. */
  readonly sharedSecrets: readonly SharedSecret[];
  /** How long past its credential's expiry a session may go on (RFC 8656 leaves it open); 0: not at all. */
  readonly sessionBeyondExpiry: number;
  /** Whether there are users besides shared secrets, so that unknown names are worth a `lookupKey`. */
  readonly users: boolean;
  /** Offer USERHASH (RFC 8489 §9.2). Only where `users` is set and there is no shared secret. */
  readonly usernameAnonymity: boolean;
  readonly lifetime: { readonly default: number; readonly max: number };
  /** RFC 8656 §12: 0x4000-0x4FFF; RFC 5766 §11: 0x4000-0x7FFF. */
  readonly channelRange: "rfc8656" | "rfc5766";
  /** Where to send clients instead (RFC 8489 §10), for each family; empty: serve them here. */
  readonly alternateServers: readonly Readonly<Address>[];
  /** SOFTWARE in answers to authenticated requests; undefined: none. */
  readonly software: string | undefined;
  /** Keys for nonces: the first makes them, all of them verify. 16 bytes or more each. */
  readonly nonceKeys: readonly Uint8Array[];
  /** How long a nonce is good for. */
  readonly nonceLifetime: number;
  readonly quotas: Quotas;
  readonly budgets: Budgets;
  readonly peers: PeerPolicy;
  /** Whether relay sockets can set the DF bit. Where not, DONT-FRAGMENT is refused with 420 (RFC 8656 §15). */
  readonly dontFragment: boolean;
}
