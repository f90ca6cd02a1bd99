/** The servers of a `stun:` or `stuns:` URI (RFC 8489 §8.1), in the order in which they are to be tried. */
import { parseIp } from "../base/address.ts";
import type { Random } from "../base/ports.ts";
import { isLocalName, type Resolution, resolveHost, resolveService, type ServerEndpoint } from "../base/resolution.ts";
import type { StunUri } from "./uri.ts";

/** RFC 8489 §8.1, RFC 8656 §3.1: with TLS, and without. */
export function defaultPort(transport: ServerEndpoint["transport"]): number {
  return transport === "tls" ? 5349 : 3478;
}

export function* resolveStun(uri: StunUri, random: Random): Resolution {
  const transports = uri.scheme === "stuns" ? (["tls"] as const) : (["udp", "tcp"] as const);
  const isPlain = uri.port !== undefined || parseIp(uri.host) !== undefined || isLocalName(uri.host);
  const found: ServerEndpoint[] = [];
  for (const transport of isPlain ? [] : transports) {
    const service = transport === "tls" ? "_stuns._tcp" : `_stun._${transport}`;
    found.push(...(yield* resolveService(`${service}.${uri.host}`, transport, random)));
  }
  // RFC 8489 §8.1: without SRV records, the addresses of the name itself.
  return found.length > 0 ? found : yield* resolveHost(uri.host, uri.port ?? defaultPort, transports);
}
