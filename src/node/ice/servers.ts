/** The servers that a connection asks: STUN servers by address, TURN servers by URL. */
import { type Address, sameAddress } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { Resolution } from "../../core/base/resolution.ts";
import { resolveStun } from "../../core/stun/resolve.ts";
import { parseStunUri } from "../../core/stun/uri.ts";
import { resolveTurn, turnTransports } from "../../core/turn/resolve.ts";
import { parseTurnUri } from "../../core/turn/uri.ts";
import { PooledRandom } from "../random.ts";
import { resolveEndpoints } from "../turn-client/dns.ts";
import type { IceServer } from "./options.ts";

export interface TurnServerLogin {
  readonly url: string;
  /** What is tried first. */
  readonly transport: "udp" | "tcp" | "tls";
  /** What is in the place of the server's name. */
  readonly host: string;
  readonly username: string;
  readonly credential: string;
}

export interface Servers {
  /** Where to ask for the addresses of STUN servers. */
  readonly stun: readonly Resolution[];
  readonly turn: readonly TurnServerLogin[];
}

/** Candidates wait for the names of STUN servers no longer. */
const namesMs = 1_000;

/** Throws `PosternError`: `bad-uri`, `bad-credentials`, `transport-not-supported`. */
export function readServers(iceServers: readonly IceServer[]): Servers {
  const stun: Resolution[] = [];
  const turn: TurnServerLogin[] = [];
  for (const server of iceServers) {
    for (const url of [server.urls].flat()) {
      if (!/^(stun|turn)s?:/i.test(url)) {
        throw new PosternError("bad-uri", `"${url}" is no URI of a server: it begins with stun:, turn: or turns:.`);
      }
      if (/^stun/i.test(url)) stun.push(readStun(url));
      else {
        const login = readTurn(url, server);
        turn.push(login);
        // RFC 8445 §5.1.1.2: a TURN server tells the reflexive address too.
        if (login.transport === "udp") stun.push(resolveTurn(parseTurnUri(url), ["udp"], new PooledRandom()));
      }
    }
  }
  return { stun, turn };
}

function readStun(url: string): Resolution {
  const uri = parseStunUri(url);
  if (uri.scheme === "stun") return resolveStun(uri, new PooledRandom());
  throw new PosternError("transport-not-supported", `${url} is of no use here: ask a stun: server, over UDP.`);
}

function readTurn(url: string, { username, credential }: IceServer): TurnServerLogin {
  const uri = parseTurnUri(url);
  const [transport] = turnTransports(uri, ["udp", "tcp", "tls"]);
  if (transport === undefined) {
    throw new PosternError("transport-not-supported", `${url} means DTLS: leave ?transport=udp out.`);
  }
  if (username !== undefined && credential !== undefined) {
    return { url, transport, host: uri.host, username, credential };
  }
  throw new PosternError("bad-credentials", `Give ${url} a username and a credential: TURN servers ask for them.`);
}

/** Of each server the first address of each family. Names that are not found in time are done without. */
export async function findStunServers(stun: readonly Resolution[], signal?: AbortSignal): Promise<Readonly<Address>[]> {
  const all = await Promise.all(stun.map((resolution) => withinPatience(resolution, signal)));
  signal?.throwIfAborted();
  const found = all.flatMap((addresses) =>
    [4, 6].flatMap((family) => addresses.find((one) => one.family === family) ?? []),
  );
  return found.filter((one, i) => found.findIndex((other) => sameAddress(one, other)) === i);
}

async function withinPatience(resolution: Resolution, signal: AbortSignal | undefined): Promise<Readonly<Address>[]> {
  const end = AbortSignal.any([AbortSignal.timeout(namesMs), ...(signal === undefined ? [] : [signal])]);
  const { promise, resolve } = Promise.withResolvers<[]>();
  const giveUp = (): void => resolve([]);
  end.addEventListener("abort", giveUp);
  try {
    const endpoints = await Promise.race([resolveEndpoints(resolution, end).catch(() => []), promise]);
    return endpoints.filter(({ transport }) => transport === "udp").map(({ address }) => address);
  } finally {
    end.removeEventListener("abort", giveUp);
  }
}
