/** What the daemon is told: one property an option. Times are in seconds. */
import type { Address } from "../../core/base/address.ts";
import type { Prefix } from "../../core/base/prefix.ts";
import type { Trunk } from "../../core/edge/config.ts";
import type { MediaPolicy } from "../../core/edge/media-policy.ts";
import type { Site } from "../../core/edge/sites.ts";
import type { ExternalAddress } from "./address-kinds.ts";
import type { PortSpan } from "./kinds.ts";
import type { SharedSecretText } from "./shared-secret-text.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";
export type LogFormat = "auto" | "pretty" | "json";
export type NatDiscovery = "off" | "auto";
export type DatapathOption = "auto" | "mmsg" | "dgram";
export type SipDigest = "md5" | "both" | "sha-256";
export type AuthKind = "both" | "shared-secret" | "users";

export interface Config {
  readonly dataDir: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly greeting: boolean;
  readonly drainDeadline: number;
  readonly datapath: DatapathOption;
  readonly offload: "off" | "auto";
  readonly offloadHelper: string | undefined;
  /** Empty: those that routes name. */
  readonly offloadInterfaces: readonly string[];
  /** Undefined: as many as there are processors. */
  readonly shards: number | undefined;
  /** Microseconds. */
  readonly wakeDelay: number;

  /** Empty: every address of the host, followed as they come and go. */
  readonly listen: readonly Readonly<Address>[];
  readonly udpPort: number | undefined;
  readonly tcpPort: number | undefined;
  readonly tlsPort: number | undefined;
  readonly natDiscovery: NatDiscovery;
  readonly alternatePort: number;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly serverName: string | undefined;
  readonly streamConnections: number;
  readonly streamConnectionsPerSource: number;

  readonly realm: string;
  readonly auth: AuthKind;
  readonly sharedSecrets: readonly SharedSecretText[];
  readonly sharedSecretFiles: readonly string[];
  readonly credentialLifetime: number;
  readonly sessionBeyondExpiry: number;
  readonly nonceLifetime: number;
  readonly usernameAnonymity: boolean;

  /** Empty: the host's own, without loopback where there are others. */
  readonly relayAddresses: readonly Readonly<Address>[];
  readonly relayPorts: PortSpan;
  readonly externalAddress: readonly ExternalAddress[];
  readonly externalAddressInterval: number;
  readonly allocationLifetime: number;
  readonly maxAllocationLifetime: number;
  readonly channelRange: "rfc8656" | "rfc5766";
  readonly alternateServers: readonly Readonly<Address>[];
  readonly software: string | undefined;

  /** Undefined: SIP is not served. In lower case. */
  readonly sipDomain: string | undefined;
  readonly sipPort: number | undefined;
  readonly sipsPort: number | undefined;
  readonly mediaPorts: PortSpan;
  readonly sipDigest: SipDigest;
  readonly sipMedia: MediaPolicy;
  readonly sipSites: readonly Site[];
  readonly sipTrunks: readonly Trunk[];
  readonly sipCallsPerUser: number;

  readonly allowPeers: readonly Prefix[];
  readonly denyPeers: readonly Prefix[];
  readonly peerPorts: PortSpan | undefined;

  readonly allocations: number;
  readonly allocationsPerUser: number;
  readonly allocationsPerSource: number;
  readonly permissions: number;
  readonly channels: number;
  readonly newPeersPerSecond: number;
  readonly bytesPerSecond: number;
  readonly unauthenticatedPerSecond: number;
  readonly requestsPerSecond: number;

  readonly httpListen: Readonly<Address> | undefined;
  readonly httpAllowRemote: boolean;
  readonly httpTokenFile: string | undefined;
}

export type OptionName = keyof Config;
