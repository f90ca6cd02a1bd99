/**
 * What a network is, declared once, so that the lab can build it of namespaces and natlab in memory: the same hosts, the
 * same addresses.
 *
 *    site: host --- inside [gateway] outside --- internet --- outside hosts
 *
 * The first address of every outside segment is the server's, which has two. Gateways of a site are named from the
 * inside to the outside.
 */
import type { FirewallName } from "./firewalls.ts";
import type { NatName } from "./nats.ts";

export interface GatewayDeclaration {
  readonly nat: NatName;
  readonly firewall?: FirewallName;
  /** Seconds after which an idle UDP mapping is forgotten; the kernel's own when not given. */
  readonly udpTimeout?: number;
  /** Rewrites its first host's address, and its own, inside packets, as the ALGs of some do. Next to the internet only. */
  readonly rewritesPayload?: boolean;
}

export interface SiteDeclaration {
  readonly name: string;
  readonly hosts: readonly string[];
  /** From the hosts to the internet. */
  readonly gateways: readonly GatewayDeclaration[];
}

export interface Topology {
  /** Hosts with public addresses; `server` has two. */
  readonly outside: readonly string[];
  readonly sites: readonly SiteDeclaration[];
  /** The hosts with public addresses have one of IPv6 too. */
  readonly ipv6?: boolean;
}

export interface PlannedHost {
  readonly name: string;
  /** Those of IPv4 first. */
  readonly addresses: readonly string[];
  /** Undefined: on the internet. */
  readonly site: string | undefined;
}

export interface PlannedGateway {
  readonly name: string;
  readonly site: string;
  readonly declaration: GatewayDeclaration;
  readonly outside: string;
  readonly inside: string;
  /** Its first hop to the internet; undefined: the internet is its neighbour. */
  readonly via: string | undefined;
}

export interface Plan {
  readonly hosts: readonly PlannedHost[];
  /** Of each site from the inside to the outside. */
  readonly gateways: readonly PlannedGateway[];
}

export const internet = { network: "203.0.113.0/24", prefix: "203.0.113", ipv6Prefix: "fd00:203:" } as const;
export const serverAddresses: readonly [string, string] = ["203.0.113.1", "203.0.113.2"];

const firstOutside = 60;

/** Who has which address. Throws nothing: a declaration has at most 24 sites, of at most 4 gateways. */
export function plan({ outside, sites, ipv6 = false }: Topology): Plan {
  const publicHosts = outside.map((name, i) => ({
    name,
    site: undefined,
    addresses: [
      ...(name === "server" ? serverAddresses : [`${internet.prefix}.${firstOutside + i}`]),
      ...(ipv6 ? [`${internet.ipv6Prefix}:${i + 1}`] : []),
    ],
  }));
  const planned = sites.map((site, i) => planSite(site, i + 1));
  return {
    hosts: [...publicHosts, ...planned.flatMap(({ hosts }) => hosts)],
    gateways: planned.flatMap(({ gateways }) => gateways),
  };
}

function planSite({ name, hosts, gateways }: SiteDeclaration, number: number): Plan {
  const layers = gateways.length;
  // The home's own network, then the networks between gateways, as providers number them (RFC 6598).
  const inside = (layer: number): string => (layer === 0 ? `10.0.${number}` : `100.64.${number * 10 + layer}`);
  return {
    hosts: hosts.map((host, i) => ({ name: host, site: name, addresses: [`${inside(0)}.${i + 2}`] })),
    gateways: gateways.map((declaration, layer) => {
      const isOutermost = layer === layers - 1;
      return {
        name: layers === 1 ? `${name} router` : `${name} router ${layer + 1}`,
        site: name,
        declaration,
        inside: `${inside(layer)}.1`,
        outside: isOutermost ? `${internet.prefix}.${10 + number}` : `${inside(layer + 1)}.2`,
        via: isOutermost ? undefined : `${inside(layer + 1)}.1`,
      };
    }),
  };
}
