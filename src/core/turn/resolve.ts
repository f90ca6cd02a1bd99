/** The servers of a `turn:` or `turns:` URI (RFC 5928), in the order in which they are to be tried. */
import { parseIp } from "../base/address.ts";
import type { Random } from "../base/ports.ts";
import {
  type DnsRecord,
  isLocalName,
  type Resolution,
  resolveHost,
  resolveService,
  type ServerEndpoint,
} from "../base/resolution.ts";
import { defaultPort } from "../stun/resolve.ts";
import type { TurnUri } from "./uri.ts";

type Transport = ServerEndpoint["transport"];
type Naptr = Extract<DnsRecord, { type: "NAPTR" }>;

/** Names whose NAPTR is asked for: records that refer to further ones end, whether in a circle or in a tree. */
const MAX_POINTERS = 8;
/** Usable records at one name; more are not worth their questions. */
const MAX_RECORDS = 16;

const SRV_NAMES = { udp: "_turn._udp", tcp: "_turn._tcp", tls: "_turns._tcp" } as const;

/** RFC 5928 §3: which of the transports of this application the URI leaves. Empty: it cannot be used at all. */
export function turnTransports(uri: TurnUri, supported: readonly Transport[]): readonly Transport[] {
  return supported.filter((transport) => {
    if (uri.scheme === "turns") return transport === "tls" && uri.transport !== "udp";
    return transport !== "tls" && (uri.transport ?? transport) === transport;
  });
}

/** `supported`: the transports of this application, the preferred one first. */
export function* resolveTurn(uri: TurnUri, supported: readonly Transport[], random: Random): Resolution {
  const transports = turnTransports(uri, supported);
  const { host, port } = uri;
  // RFC 5928 §3: an address, or a name with a port, is looked up as it is.
  // DEVIATES RFC 5928 §3: so is a name without a dot, which is not in the DNS.
  if (port !== undefined || parseIp(host) !== undefined || isLocalName(host)) {
    return yield* resolveHost(host, port ?? defaultPort, transports);
  }
  let found: readonly ServerEndpoint[] = [];
  // RFC 5928 §3: NAPTR tells the transport, so it is asked for only where the URI does not.
  if (uri.transport === undefined) found = yield* resolvePointers(host, transports, random, { left: MAX_POINTERS });
  if (found.length === 0) found = yield* resolveServices(host, transports, random);
  return found.length > 0 ? found : yield* resolveHost(host, defaultPort, transports);
}

function* resolveServices(host: string, transports: readonly Transport[], random: Random): Resolution {
  const found: ServerEndpoint[] = [];
  for (const transport of transports) {
    found.push(...(yield* resolveService(`${SRV_NAMES[transport]}.${host}`, transport, random)));
  }
  return found;
}

/** RFC 3958 §2.2: S-NAPTR; the flag says what the replacement is: a service, an address, or further pointers. */
function* resolvePointers(
  name: string,
  transports: readonly Transport[],
  random: Random,
  questions: { left: number },
): Resolution {
  questions.left--;
  const records = (yield { type: "NAPTR", name }).filter((record) => record.type === "NAPTR");
  const usable = records.filter((record) => offered(record, transports).length > 0);
  usable.sort((a, b) => a.order - b.order || a.preference - b.preference);
  const found: ServerEndpoint[] = [];
  for (const record of usable.slice(0, MAX_RECORDS)) {
    const { flags, replacement } = record;
    const some = offered(record, transports);
    if (/^a$/i.test(flags)) found.push(...(yield* resolveHost(replacement, defaultPort, some)));
    else if (/^s$/i.test(flags)) {
      for (const transport of some) found.push(...(yield* resolveService(replacement, transport, random)));
    } else if (flags === "" && questions.left > 0) {
      found.push(...(yield* resolvePointers(replacement, some, random, questions)));
    }
  }
  return found;
}

/** RFC 5928 §5: `RELAY` with the tags `turn.udp`, `turn.tcp` and `turn.tls`. */
function offered({ services }: Naptr, transports: readonly Transport[]): readonly Transport[] {
  const [service, ...tags] = services.toLowerCase().split(":");
  return service === "relay" ? transports.filter((transport) => tags.includes(`turn.${transport}`)) : [];
}
