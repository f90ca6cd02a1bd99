/** The servers of a SIP or SIPS URI (RFC 3263), in the order in which they are to be tried. */
import { parseIp } from "../../base/address.ts";
import type { Random } from "../../base/ports.ts";
import {
  type DnsRecord,
  isLocalName,
  type Resolution,
  resolveHost,
  resolveService,
  type ServerEndpoint,
} from "../../base/resolution.ts";
import type { SipTransport } from "../flow.ts";
import type { SipUri } from "../message/uri.ts";

type Naptr = Extract<DnsRecord, { type: "NAPTR" }>;

/** Usable NAPTR records of one name; more are not worth their questions. */
const MAX_RECORDS = 8;

const SRV_NAMES = { udp: "_sip._udp", tcp: "_sip._tcp", tls: "_sips._tcp" } as const;
const NAPTR_SERVICES: Readonly<Record<string, SipTransport>> = {
  "sip+d2u": "udp",
  "sip+d2t": "tcp",
  "sips+d2t": "tls",
};

/** RFC 3261 §19.1.2 */
export function usualSipPort(transport: SipTransport): number {
  return transport === "tls" ? 5061 : 5060;
}

/** `supported`: the transports of this application, the preferred one first. */
export function* resolveSip(uri: SipUri, supported: readonly SipTransport[], random: Random): Resolution {
  const named = namedTransport(uri);
  const transports = supported.filter((transport) => {
    // RFC 3263 §4.1: a SIPS URI is reached over TLS alone.
    return uri.scheme === "sips" ? transport === "tls" : (named ?? transport) === transport;
  });
  const host = uri.params.get("maddr") ?? uri.host.replace(/^\[(.*)\]$/, "$1");
  // RFC 3263 §4.1: with an address, or a port, and no transport: UDP, or for SIPS TLS.
  // DEVIATES RFC 3263 §4.1: so it is with a name without a dot, which is not in the DNS.
  if (parseIp(host) !== undefined || uri.port !== undefined || isLocalName(host)) {
    return yield* resolveHost(
      host,
      uri.port ?? usualSipPort,
      named === undefined ? usual(uri, transports) : transports,
    );
  }
  let found: readonly ServerEndpoint[] = [];
  if (named === undefined) found = yield* resolvePointers(host, transports, random);
  if (found.length === 0) found = yield* resolveServices(host, transports, random);
  if (found.length > 0) return found;
  // RFC 3263 §4.2: without SRV records, the addresses of the name itself.
  return yield* resolveHost(host, usualSipPort, named === undefined ? usual(uri, transports) : transports);
}

function namedTransport({ params, scheme }: SipUri): SipTransport | undefined {
  const name = params.get("transport")?.toLowerCase();
  // RFC 3263 §4.1: "sips" with "tcp" is TLS over TCP.
  if (scheme === "sips") return "tls";
  return name === "udp" || name === "tcp" || name === "tls" ? name : undefined;
}

function usual({ scheme }: SipUri, transports: readonly SipTransport[]): readonly SipTransport[] {
  const wanted = scheme === "sips" ? "tls" : "udp";
  return transports.includes(wanted) ? [wanted] : transports.slice(0, 1);
}

function* resolveServices(host: string, transports: readonly SipTransport[], random: Random): Resolution {
  const found: ServerEndpoint[] = [];
  for (const transport of transports) {
    found.push(...(yield* resolveService(`${SRV_NAMES[transport]}.${host}`, transport, random)));
  }
  return found;
}

/** RFC 3263 §4.1: NAPTR says which transports the domain likes, and where their SRV records are. */
function* resolvePointers(name: string, transports: readonly SipTransport[], random: Random): Resolution {
  const records = (yield { type: "NAPTR", name }).filter((record) => record.type === "NAPTR");
  const usable = records.filter((record) => /^s$/i.test(record.flags) && transports.includes(serviceOf(record)));
  usable.sort((a, b) => a.order - b.order || a.preference - b.preference);
  const found: ServerEndpoint[] = [];
  for (const record of usable.slice(0, MAX_RECORDS)) {
    found.push(...(yield* resolveService(record.replacement, serviceOf(record), random)));
  }
  return found;
}

function serviceOf({ services }: Naptr): SipTransport {
  return NAPTR_SERVICES[services.toLowerCase()] as SipTransport;
}
