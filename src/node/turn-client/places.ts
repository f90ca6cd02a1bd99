/** The places at which the server of a URL may be reached, in the order in which they are tried. */
import { type Address, blankAddress, formatIp, parseIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { ServerEndpoint } from "../../core/base/resolution.ts";
import { defaultPort } from "../../core/stun/resolve.ts";
import { resolveTurn, turnTransports } from "../../core/turn/resolve.ts";
import { parseTurnUri, type TurnUri } from "../../core/turn/uri.ts";
import { PooledRandom } from "../random.ts";
import { resolveEndpoints } from "./dns.ts";
import { type HttpProxy, parseProxy } from "./http-proxy.ts";
import type { TurnAllocationOptions } from "./options.ts";
import type { PathSink, ServerPath } from "./server-path.ts";
import { StreamPath, type TlsOptions } from "./stream-path.ts";
import { UdpPath } from "./udp-path.ts";

const transports: readonly ServerEndpoint["transport"][] = ["udp", "tcp", "tls"];

export interface Place extends ServerEndpoint {
  /** Opens a path, to this place or to the alternate one that it named; `domain`: whose certificate that one has. */
  open(server: Readonly<Address>, domain: string | undefined, sink: PathSink): ServerPath;
}

/** Rejects with `PosternError`: `bad-uri`, `bad-proxy`, `transport-not-supported`, `no-server`. */
export async function findPlaces(options: TurnAllocationOptions): Promise<readonly Place[]> {
  const uri = parseTurnUri(options.url);
  const proxy = options.proxy === undefined ? undefined : parseProxy(options.proxy);
  const usable = turnTransports(uri, transports).filter((transport) => proxy === undefined || transport !== "udp");
  if (usable.length === 0) {
    const why = uri.scheme === "turns" ? "DTLS is not supported: leave ?transport=udp out." : "A proxy carries no UDP.";
    throw new PosternError("transport-not-supported", `There is no way to reach ${options.url}. ${why}`);
  }
  const endpoints = proxy === undefined ? await resolved(uri, options) : unresolved(uri, usable);
  return endpoints.map((endpoint) => ({ ...endpoint, open: opener(endpoint, uri, proxy, options) }));
}

async function resolved(uri: TurnUri, { url, signal }: TurnAllocationOptions): Promise<readonly ServerEndpoint[]> {
  const endpoints = await resolveEndpoints(resolveTurn(uri, transports, new PooledRandom()), signal);
  if (endpoints.length > 0) return endpoints;
  throw new PosternError("no-server", `No address was found for ${url}: is the name right, and does DNS work here?`);
}

/** Behind a proxy names may not be resolvable: the proxy does it, and the address stays blank. */
function unresolved(uri: TurnUri, usable: readonly ServerEndpoint["transport"][]): readonly ServerEndpoint[] {
  return usable.map((transport) => {
    const address = parseIp(uri.host) ?? blankAddress();
    return { transport, address: { ...address, port: uri.port ?? defaultPort(transport) } };
  });
}

function opener(
  endpoint: ServerEndpoint,
  uri: TurnUri,
  proxy: HttpProxy | undefined,
  { localAddress, tls = {} }: TurnAllocationOptions,
): Place["open"] {
  const { transport } = endpoint;
  if (transport === "udp") return (server, _domain, sink) => new UdpPath(server, localAddress, sink);
  const secure: TlsOptions | undefined = transport === "tls" ? tls : undefined;
  return (server, domain, sink) => {
    const isBlank = server.family === 4 && server.w3 === 0;
    const host = isBlank ? uri.host : formatIp(server);
    const named = domain === undefined ? secure : { ...secure, servername: domain };
    const target = { host, port: server.port, localAddress, name: uri.host, proxy };
    return new StreamPath({ ...target, tls: secure === undefined ? undefined : named }, sink);
  };
}
