/** What `postern check` asks: the servers behind the URIs that it is given, resolved as the RFCs say. */
import { type Address, blankAddress, formatAddress, parseIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { Resolution } from "../../core/base/resolution.ts";
import { formatHostPort } from "../../core/stun/host-port.ts";
import { defaultPort, resolveStun } from "../../core/stun/resolve.ts";
import { parseStunUri } from "../../core/stun/uri.ts";
import { resolveTurn, turnTransports } from "../../core/turn/resolve.ts";
import { parseTurnUri } from "../../core/turn/uri.ts";
import { PooledRandom } from "../../node/random.ts";
import { resolveEndpoints } from "../../node/turn-client/dns.ts";

export interface Target {
  readonly uri: string;
  readonly transport: "udp" | "tcp" | "tls";
  readonly host: string;
  /** Through a proxy, which resolves the name, only the port counts. */
  readonly address: Readonly<Address>;
  /** A relay stands behind it, as the URI says. */
  readonly relays: boolean;
  readonly throughProxy?: boolean;
}

const transports: readonly Target["transport"][] = ["udp", "tcp", "tls"];

interface Asked {
  readonly host: string;
  readonly resolution: Resolution;
  readonly relays: boolean;
}

function parse(uri: string): Asked {
  refuseOthers(uri);
  const random = new PooledRandom();
  if (/^stuns?:/i.test(uri)) {
    const parsed = parseStunUri(uri);
    return { host: parsed.host, resolution: resolveStun(parsed, random), relays: false };
  }
  const parsed = parseTurnUri(uri);
  if (turnTransports(parsed, transports).length === 0) {
    throw new PosternError(
      "transport-not-supported",
      `${uri} means DTLS, which check does not speak: leave ?transport=udp out.`,
    );
  }
  return { host: parsed.host, resolution: resolveTurn(parsed, transports, random), relays: true };
}

/** Of each transport the first server of each family. Rejects with `PosternError` `bad-uri`, `transport-not-supported` or `no-server`. */
export async function findTargets(uri: string, signal?: AbortSignal): Promise<Target[]> {
  const { host, resolution, relays } = parse(uri);
  const endpoints = await resolveEndpoints(resolution, signal);
  if (endpoints.length === 0) {
    throw new PosternError(
      "no-server",
      `The DNS has no server for ${uri}: correct the URI, or see whether the DNS works.`,
    );
  }
  const first = new Map(endpoints.toReversed().map((one) => [`${one.transport} ${one.address.family}`, one]));
  return [...first.values()].reverse().map(({ transport, address }) => ({ uri, transport, host, address, relays }));
}

function refuseOthers(uri: string): void {
  if (!/^(stun|turn)s?:/i.test(uri)) {
    throw new PosternError("bad-uri", `"${uri}" is no server's URI: it begins with stun:, stuns:, turn: or turns:.`);
  }
}

/** The same TURN server, asked through an HTTP proxy; nothing of a STUN server, and nothing over UDP. */
export function targetsThroughProxy(uri: string): Target[] {
  refuseOthers(uri);
  if (/^stuns?:/i.test(uri)) return [];
  const parsed = parseTurnUri(uri);
  const { host } = parsed;
  return turnTransports(parsed, ["tcp", "tls"]).map((transport) => {
    const address = { ...(parseIp(host) ?? blankAddress()), port: parsed.port ?? defaultPort(transport) };
    return { uri, transport, host, address, relays: true, throughProxy: true };
  });
}

/** Each server once for each transport; as a relay, where one of the URIs says that it is one. */
export function distinctTargets(targets: readonly Target[]): Target[] {
  const found = new Map<string, Target>();
  for (const target of targets) {
    const key = `${target.transport} ${serverOf(target)} ${target.throughProxy}`;
    const before = found.get(key);
    if (before === undefined || (target.relays && !before.relays)) found.set(key, target);
  }
  return [...found.values()];
}

/** Address and port, or what the proxy is told. */
export function serverOf({ address, host, throughProxy }: Target): string {
  return throughProxy ? formatHostPort({ host, port: address.port }) : formatAddress(address);
}

/** How the target is reached: `UDP`, `TLS through the proxy`. */
export function wayOf({ transport, throughProxy }: Target): string {
  return `${transport.toUpperCase()}${throughProxy ? " through the proxy" : ""}`;
}

/** The TURN URI that means this transport and nothing else. */
export function turnUriOf({ transport, host, address: { port } }: Target): string {
  const scheme = transport === "tls" ? "turns" : "turn";
  return `${scheme}:${formatHostPort({ host, port })}?transport=${transport === "udp" ? "udp" : "tcp"}`;
}
