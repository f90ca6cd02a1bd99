/** What `postern check` asks: the servers behind the URIs that it is given, resolved as the RFCs say. */
import type { Address } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { type Resolution, resolveStun } from "../../core/stun/resolve.ts";
import { parseStunUri } from "../../core/stun/uri.ts";
import { resolveTurn } from "../../core/turn/resolve.ts";
import { parseTurnUri } from "../../core/turn/uri.ts";
import { PooledRandom } from "../../node/random.ts";
import { resolveEndpoints } from "../../node/turn-client/dns.ts";

export interface Target {
  readonly uri: string;
  readonly transport: "udp" | "tcp" | "tls";
  readonly host: string;
  readonly address: Readonly<Address>;
  /** A relay stands behind it, as the URI says. */
  readonly relays: boolean;
}

interface Asked {
  readonly host: string;
  readonly resolution: Resolution;
  readonly relays: boolean;
}

function parse(uri: string): Asked {
  const random = new PooledRandom();
  if (/^stuns?:/i.test(uri)) {
    const parsed = parseStunUri(uri);
    return { host: parsed.host, resolution: resolveStun(parsed, random), relays: false };
  }
  const parsed = parseTurnUri(uri);
  return { host: parsed.host, resolution: resolveTurn(parsed, ["udp", "tcp", "tls"], random), relays: true };
}

/** Of each transport the first server of each family. Rejects with `PosternError` `bad-uri` or `no-server`. */
export async function findTargets(uri: string): Promise<Target[]> {
  const { host, resolution, relays } = parse(uri);
  const endpoints = await resolveEndpoints(resolution, undefined);
  if (endpoints.length === 0) {
    throw new PosternError(
      "no-server",
      `The DNS has no server for ${uri}: correct the URI, or see whether the DNS works.`,
    );
  }
  const first = new Map(endpoints.toReversed().map((one) => [`${one.transport} ${one.address.family}`, one]));
  return [...first.values()].reverse().map(({ transport, address }) => ({ uri, transport, host, address, relays }));
}
