/** What the SIP edge is told when it starts. */
import type { Address } from "../base/address.ts";
import type { Prefix } from "../base/prefix.ts";
import type { RelayAddress } from "../base/relay-places.ts";
import type { MediaRelayConfig } from "../relay/config.ts";
import type { DigestConfig } from "../sip/digest/authorization.ts";
import type { SipTarget, SipTransport } from "../sip/flow.ts";
import type { SipUri } from "../sip/message/uri.ts";
import type { RegistrarConfig } from "../sip/registrar/config.ts";
import type { MediaPolicy } from "./media-policy.ts";
import type { Site } from "./sites.ts";

/** One socket that SIP comes to. */
export interface EdgeListener {
  readonly transport: SipTransport;
  readonly local: Readonly<Address>;
  /** How others reach it, for Via and Record-Route: `host:port`, an IPv6 address in brackets. */
  readonly name: string;
}

/** Where the edge is, which may change while it runs. */
export interface EdgePlaces {
  readonly listeners: readonly EdgeListener[];
  /** Where media is relayed, in order of preference. */
  readonly relays: readonly RelayAddress[];
  /** Every address of the host. */
  readonly own: readonly Readonly<Address>[];
}

/** Servers that a name stands for: the driver looks them up, and tells of them by `handleTrunkResolved`. */
export interface TrunkName {
  readonly uri: SipUri;
  /** What a certificate of theirs must bear. */
  readonly serverName: string;
  /** Their media may come from where they are. */
  readonly isMediaThere: boolean;
}

/** A peer that needs no password, because it is known by its address: a provider, another PBX. */
export interface Trunk {
  readonly name: string;
  /** Where its requests come from, besides the servers that its name stands for. */
  readonly sources: readonly Prefix[];
  /** Where its media may come from, besides what it says. */
  readonly media: readonly Prefix[];
  /** Where calls to it go; undefined where it only calls us. */
  readonly target: SipTarget | TrunkName | undefined;
  /** Of the URI there: `host` or `host:port`. */
  readonly host: string;
  /** What a number begins with that is dialed through it; "" is all that is no user here. */
  readonly prefixes: readonly string[];
  /** Who may dial through it; "all": every user. Calls cost money: nobody may unless said. */
  readonly users: ReadonlySet<string> | "all";
  /** At once, both ways together; undefined: as the limits say. */
  readonly calls?: number;
}

/** A source is an IPv4 address or an IPv6 /56. */
export interface QuotaLimits {
  readonly user: number;
  readonly source: number;
  readonly connection: number;
  readonly trunk: number;
}

export interface EdgeLimits {
  /** Transactions at once. */
  readonly transactions: number;
  /** Calls at once. */
  readonly calls: number;
  /** Of these, those of one user, source, connection or trunk. Calls count for who places them, and for a trunk both ways. */
  readonly transactionsPer: QuotaLimits;
  readonly callsPer: QuotaLimits;
  /** Requests a second of a source that has proven nothing yet; and as many of one that has proven to be there. */
  readonly strangersPerSecond: number;
  /** Requests a second of a source where phones are registered. */
  readonly phonesPerSecond: number;
  /** Requests a second of one trunk that begin something. */
  readonly trunkPerSecond: number;
  /** Wrong passwords a second of one source that are answered; all others are met with silence. */
  readonly failuresPerSecond: number;
  /** Passwords that are looked up at once. */
  readonly lookups: number;
}

export interface EdgeConfig {
  /** Whose users call here, in lower case: `example.org`. */
  readonly domain: string;
  readonly listeners: readonly EdgeListener[];
  readonly registrar: Omit<RegistrarConfig, "domain">;
  readonly digest: DigestConfig;
  /** The first seals the tokens of dialogs, all open them. At least 16 bytes each. */
  readonly tokenKeys: readonly Uint8Array[];
  readonly relay: MediaRelayConfig;
  readonly media: MediaPolicy;
  /** Between phones of one of these media is not relayed. */
  readonly sites: readonly Site[];
  readonly trunks: readonly Trunk[];
  readonly limits: EdgeLimits;
}

export const DEFAULT_EDGE_LIMITS: EdgeLimits = {
  // Each stays 32 s on UDP: thousands of registrations a second, at under a kilobyte.
  transactions: 300_000,
  calls: 10_000,
  transactionsPer: {
    // Ten phones of one user with six requests a second each, which stay for half a minute.
    user: 2_000,
    // A thousand phones behind one address, each beginning a call every few seconds; a fifteenth of all.
    source: 20_000,
    // On a stream only what is not answered yet counts, and calls for half a minute.
    connection: 2_000,
    // A provider that brings 500 new calls a second; a sixth of all.
    trunk: 50_000,
  },
  callsPer: {
    // A receptionist has some, a small exchange that registers like a phone a dozen; who has stolen a password gets no more.
    user: 20,
    // An office, or a town behind its carrier's NAT.
    source: 1_000,
    // One connection is one phone's, or one exchange's.
    connection: 200,
    // A provider's usual contract is for less; two thousand media ports.
    trunk: 500,
  },
  // A phone that starts sends some tens of requests; an office behind one address, some tens of phones.
  strangersPerSecond: 50,
  // Several hundred phones that talk, type and refresh what they have subscribed to.
  phonesPerSecond: 500,
  // A third of what one core does.
  trunkPerSecond: 500,
  failuresPerSecond: 0.2,
  lookups: 1_000,
};
