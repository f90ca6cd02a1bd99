/** The candidate attribute of SDP (RFC 8839 §5.1). */
import { type Address, formatIp, parseIp } from "../base/address.ts";

/** As SDP names them: host, server-reflexive, peer-reflexive, relayed. */
export type CandidateType = "host" | "srflx" | "prflx" | "relay";

/** What two agents tell each other of a candidate. Its transport is UDP. */
export interface Candidate {
  /** RFC 8445 §5.1.1.3: the same for candidates that are alike in type, base, server and protocol. */
  readonly foundation: string;
  /** 1 to 256. */
  readonly component: number;
  /** 32 bits. */
  readonly priority: number;
  readonly address: Readonly<Address>;
  readonly type: CandidateType;
  /** Whence a reflexive or relayed candidate was obtained: for diagnosis alone. */
  readonly related: Readonly<Address> | undefined;
}

/** A candidate that has a name in the place of its address, which somebody has to look up. */
export interface NamedCandidate {
  /** `<uuid>.local`, in small letters. */
  readonly name: string;
  readonly port: number;
  /** What the line says of it besides. */
  readonly candidate: Omit<Candidate, "address">;
  readonly ufrag: string | undefined;
}

export type CandidateLine =
  | {
      readonly kind: "candidate";
      readonly candidate: Candidate;
      /** RFC 8839 §5.1, RFC 8838 §8.1: of which description it is, where the line says so. */
      readonly ufrag: string | undefined;
    }
  /** draft-ietf-mmusic-mdns-ice-candidates §3.2: the peer hides the address from all who are not on its link. */
  | ({ readonly kind: "named" } & NamedCandidate)
  /** RFC 8839 §5.1: to be ignored. `name`: another host name stands in the place of the address. */
  | {
      readonly kind: "unusable";
      readonly why: "malformed" | "transport" | "type" | "name";
      readonly name: string | undefined;
    };

const LINE =
  /^(?:a=)?candidate:([A-Za-z0-9+/]{1,32}) (\d{1,3}) ([!-~]+) (\d{1,10}) ([!-~]+) (\d{1,5}) typ ([!-~]+)((?: [!-~]+ [!-~]+)*) *$/;
const TYPES: readonly string[] = ["host", "srflx", "prflx", "relay"] satisfies CandidateType[];
/** Of no more than one label, and random: nothing that any other service may be found by. */
const LOCAL_NAME = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local$/;
const MAX_PRIORITY = 2 ** 31 - 1;

function unusable(why: Extract<CandidateLine, { kind: "unusable" }>["why"], name?: string): CandidateLine {
  return { kind: "unusable", why, name };
}

/** Parses the value of the attribute, `candidate:…`, with or without `a=`. */
export function parseCandidate(line: string): CandidateLine {
  const match = LINE.exec(line);
  if (match === null) return unusable("malformed");
  const [, foundation, component, transport, priority, host, port, type, rest] = match as unknown as string[];
  const numbers = [Number(component), Number(priority), Number(port)] as const;
  if (!isInRange(...numbers)) return unusable("malformed");
  if (transport?.toLowerCase() !== "udp") return unusable("transport");
  if (!TYPES.includes(type as string)) return unusable("type");
  const extensions = parseExtensions(rest as string);
  const candidate = {
    foundation: foundation as string,
    component: numbers[0],
    priority: numbers[1],
    type: type as CandidateType,
    related: relatedOf(extensions),
  };
  const ufrag = extensions.get("ufrag");
  const address = parseIp(host as string, numbers[2]);
  if (address !== undefined) return { kind: "candidate", candidate: { ...candidate, address }, ufrag };
  const name = host?.toLowerCase() ?? "";
  // RFC 8839 §5.1: other names are ignored.
  return LOCAL_NAME.test(name) ? { kind: "named", name, port: numbers[2], candidate, ufrag } : unusable("name", host);
}

function isInRange(component: number, priority: number, port: number): boolean {
  // RFC 8839 §5.1: components are 1 to 256, priorities positive and below 2^31.
  return component >= 1 && component <= 256 && priority >= 1 && priority <= MAX_PRIORITY && port >= 1 && port <= 65_535;
}

/** RFC 8839 §5.1: pairs of a name and a value, unknown ones among them. */
function parseExtensions(rest: string): Map<string, string> {
  const words = rest.split(" ").slice(1);
  const found = new Map<string, string>();
  for (let n = 0; n + 1 < words.length; n += 2) found.set(words[n] as string, words[n + 1] as string);
  return found;
}

function relatedOf(extensions: ReadonlyMap<string, string>): Address | undefined {
  const port = extensions.get("rport") ?? "";
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) return undefined;
  return parseIp(extensions.get("raddr") ?? "", Number(port));
}

/** RFC 4007 §6: a zone means something on this host alone. */
function withoutZone(address: Readonly<Address>): string {
  return formatIp(address).replace(/%.*/, "");
}

/** The value of the attribute, without `a=`. `name`: shown in the place of the IP address. */
export function formatCandidate(
  { foundation, component, priority, address, type, related }: Candidate,
  name: string = withoutZone(address),
): string {
  const at = `${name} ${address.port}`;
  const line = `candidate:${foundation} ${component} udp ${priority} ${at} typ ${type}`;
  // RFC 8839 §5.1: raddr and rport stand behind every candidate but a host candidate.
  return type === "host" || related === undefined
    ? line
    : `${line} raddr ${withoutZone(related)} rport ${related.port}`;
}
