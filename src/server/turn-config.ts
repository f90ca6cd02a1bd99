/** The TURN server's configuration, from the options. */
import type { SharedSecret, TurnServerConfig } from "../core/turn/server/config.ts";
import type { AddressPlan } from "./address-plan.ts";
import type { Config } from "./config/config.ts";

export interface Keys {
  readonly sharedSecrets: readonly SharedSecret[];
  /** The first makes nonces; all are accepted. */
  readonly nonceKeys: readonly Uint8Array[];
}

export function turnConfig(config: Config, plan: AddressPlan, keys: Keys, dontFragment: boolean): TurnServerConfig {
  return {
    realm: config.realm,
    relays: plan.relays,
    ownAddresses: plan.own,
    relayPorts: config.relayPorts,
    sharedSecrets: keys.sharedSecrets,
    sessionBeyondExpiry: config.sessionBeyondExpiry,
    users: config.auth !== "shared-secret",
    usernameAnonymity: config.usernameAnonymity,
    lifetime: { default: config.allocationLifetime, max: config.maxAllocationLifetime },
    channelRange: config.channelRange,
    alternateServers: config.alternateServers,
    software: config.software,
    nonceKeys: keys.nonceKeys,
    nonceLifetime: config.nonceLifetime,
    quotas: {
      allocations: config.allocations,
      allocationsPerUser: config.allocationsPerUser,
      allocationsPerSource: config.allocationsPerSource,
      permissions: config.permissions,
      channels: config.channels,
      newPeersPerSecond: config.newPeersPerSecond,
      bytesPerSecond: config.bytesPerSecond,
    },
    budgets: {
      unauthenticatedPerSecond: config.unauthenticatedPerSecond,
      requestsPerSecond: config.requestsPerSecond,
    },
    peers: { allow: config.allowPeers, deny: config.denyPeers, ports: config.peerPorts },
    dontFragment,
  };
}
