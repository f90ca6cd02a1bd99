/** The SIP edge's configuration, from the options and the addresses that the host has. */
import { hkdfSync } from "node:crypto";
import { join } from "node:path";
import { type Address, formatAddress, sameIp } from "../../../core/base/address.ts";
import { DEFAULT_EDGE_LIMITS, type EdgeConfig, type EdgeListener } from "../../../core/edge/config.ts";
import {
  DEFAULT_MEDIA_TIMEOUT_MS,
  DEFAULT_RELAY_QUOTAS,
  DEFAULT_SETUP_TIMEOUT_MS,
} from "../../../core/relay/config.ts";
import type { SipTransport } from "../../../core/sip/flow.ts";
import { defaultRegistrarConfig } from "../../../core/sip/registrar/config.ts";
import type { Secret } from "../../../node/secret.ts";
import type { AddressPlan } from "../../address-plan.ts";
import type { Config } from "../../config/config.ts";
import { keepSecretFile } from "../../secret-file.ts";

/** RFC 8760 §2.4: the one that is liked best comes first. */
const ALGORITHMS = { md5: ["MD5"], both: ["SHA-256", "MD5"], "sha-256": ["SHA-256"] } as const;

/** Kept across restarts, so that calls outlive one. */
export function loadSipKey({ dataDir }: Config): Secret {
  return keepSecretFile(join(dataDir, "sip-key"));
}

export function sipConfig(config: Config, domain: string, plan: AddressPlan, key: Secret): EdgeConfig {
  return {
    domain,
    listeners: sipListeners(config, plan),
    registrar: defaultRegistrarConfig,
    digest: {
      realm: domain,
      nonceKeys: [derived(key, "nonces")],
      nonceLifetime: config.nonceLifetime,
      algorithms: ALGORITHMS[config.sipDigest],
      nonceCapacity: 100_000,
    },
    tokenKeys: [derived(key, "dialogs")],
    relay: {
      addresses: plan.relays,
      ports: config.mediaPorts,
      ownAddresses: plan.own,
      quotas: {
        ...DEFAULT_RELAY_QUOTAS,
        sessionsPerOwner: Math.max(DEFAULT_RELAY_QUOTAS.sessionsPerOwner, config.sipCallsPerUser),
      },
      mediaTimeout: DEFAULT_MEDIA_TIMEOUT_MS,
      setupTimeout: DEFAULT_SETUP_TIMEOUT_MS,
    },
    media: config.sipMedia,
    sites: config.sipSites,
    trunks: config.sipTrunks,
    limits: {
      ...DEFAULT_EDGE_LIMITS,
      callsPer: { ...DEFAULT_EDGE_LIMITS.callsPer, user: config.sipCallsPerUser },
    },
  };
}

/** One for each address and transport, by the name that others reach it under; what is reached from farthest comes first. */
export function sipListeners({ sipPort, sipsPort }: Config, { listen, relays }: AddressPlan): EdgeListener[] {
  const ports: readonly (readonly [SipTransport, number | undefined])[] = [
    ["udp", sipPort],
    ["tcp", sipPort],
    ["tls", sipsPort],
  ];
  const placeOf = (address: Readonly<Address>) => relays.findIndex(({ bound }) => sameIp(bound, address));
  const rank = (address: Readonly<Address>) => (placeOf(address) < 0 ? relays.length : placeOf(address));
  const ranked = listen.toSorted((a, b) => rank(a) - rank(b));
  return ports.flatMap(([transport, port]) => {
    if (port === undefined) return [];
    return ranked.map((address) => {
      const outside = relays[placeOf(address)]?.advertised ?? address;
      return { transport, local: { ...address, port, text: "" }, name: nameOf(outside, port) };
    });
  });
}

function nameOf(address: Readonly<Address>, port: number): string {
  return formatAddress({ ...address, port });
}

/** Keys of one secret are independent of each other. */
function derived(key: Secret, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key.reveal(), "", `postern sip ${purpose}`, 32));
}
