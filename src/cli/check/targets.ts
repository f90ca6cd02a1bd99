/** What `postern check` asks: the addresses and transports behind the URIs that it is given. */
import { lookup } from "node:dns/promises";
import { type Address, parseIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { parseStunUri } from "../../core/stun/uri.ts";
import { parseTurnUri } from "../../core/turn/uri.ts";

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
  readonly port: number | undefined;
  readonly transports: readonly Target["transport"][];
  readonly relays: boolean;
}

function parse(uri: string): Asked {
  if (/^stuns?:/i.test(uri)) {
    const { scheme, host, port } = parseStunUri(uri);
    return { host, port, transports: scheme === "stuns" ? ["tls"] : ["udp", "tcp"], relays: false };
  }
  const { scheme, host, port, transport } = parseTurnUri(uri);
  if (scheme === "turns") return { host, port, transports: ["tls"], relays: true };
  return { host, port, transports: transport === undefined ? ["udp", "tcp"] : [transport], relays: true };
}

/** One target for each transport and each of the host's addresses. Rejects with `PosternError` `bad-uri` or `no-address`. */
export async function findTargets(uri: string): Promise<Target[]> {
  const { host, port, transports, relays } = parse(uri);
  const addresses = await addressesOf(host);
  return transports.flatMap((transport) =>
    addresses.map((address) => {
      const at = { ...address, port: port ?? (transport === "tls" ? 5349 : 3478) };
      return { uri, transport, host, address: at, relays };
    }),
  );
}

/** The first of each family. */
async function addressesOf(host: string): Promise<Address[]> {
  const literal = parseIp(host);
  if (literal !== undefined) return [literal];
  const found = await lookup(host, { all: true }).catch((cause: Error) => {
    throw new PosternError("no-address", `${host} has no address: ${cause.message}. Correct the URI.`, { cause });
  });
  const addresses = found.flatMap(({ address }) => parseIp(address) ?? []);
  return ([4, 6] as const).flatMap((family) => addresses.find((one) => one.family === family) ?? []);
}
