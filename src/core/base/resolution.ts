/**
 * From a name to the transport addresses of a server, in the order in which they are to be tried. Pure: a resolution is a
 * generator that yields questions for the DNS and is resumed with the answers; whoever drives it does the asking.
 */
import { type Address, parseIp } from "./address.ts";
import type { Random } from "./ports.ts";
import { randomBelow } from "./random.ts";

export interface DnsQuestion {
  readonly type: "address" | "SRV" | "NAPTR";
  readonly name: string;
}

export type DnsRecord =
  /** A or AAAA, as text. They come in the order in which the host prefers them. */
  | { readonly type: "address"; readonly address: string }
  | {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | {
      readonly type: "NAPTR";
      readonly order: number;
      readonly preference: number;
      readonly flags: string;
      readonly services: string;
      readonly replacement: string;
    };

export type SrvRecord = Extract<DnsRecord, { type: "SRV" }>;

/** A place to try. */
export interface ServerEndpoint {
  readonly transport: "udp" | "tcp" | "tls";
  readonly address: Readonly<Address>;
}

/** Resumed with the records of the question it yielded; none where the name, or the type, does not exist. */
export type Resolution = Generator<DnsQuestion, readonly ServerEndpoint[], readonly DnsRecord[]>;

/** The addresses of a name at a port, each transport's own perhaps, or of a literal without any question. */
export function* resolveHost(
  host: string,
  port: number | ((transport: ServerEndpoint["transport"]) => number),
  transports: readonly ServerEndpoint["transport"][],
): Resolution {
  const literal = parseIp(host);
  const records = literal === undefined ? yield { type: "address", name: host } : [];
  const addresses = records.flatMap((record) => (record.type === "address" ? (parseIp(record.address) ?? []) : []));
  if (literal !== undefined) addresses.push(literal);
  return transports.flatMap((transport) =>
    addresses.map((address) => ({
      transport,
      address: { ...address, port: typeof port === "number" ? port : port(transport) },
    })),
  );
}

/** One SRV name: the addresses of its targets, in the order of RFC 2782. */
export function* resolveService(name: string, transport: ServerEndpoint["transport"], random: Random): Resolution {
  const records = (yield { type: "SRV", name }).filter((record) => record.type === "SRV");
  const found: ServerEndpoint[] = [];
  for (const { target, port } of inOrder(records, random)) {
    // RFC 2782: the root as a target says that there is no such service here.
    if (target !== "" && target !== ".") found.push(...(yield* resolveHost(target, port, [transport])));
  }
  return found;
}

/** RFC 2782: by priority; among equals at random, in proportion to their weights. */
function inOrder(records: readonly SrvRecord[], random: Random): SrvRecord[] {
  const left = [...records].sort((a, b) => a.priority - b.priority || a.weight - b.weight);
  const order: SrvRecord[] = [];
  while (left.length > 0) {
    const equals = left.filter(({ priority }) => priority === left[0]?.priority);
    const sum = equals.reduce((total, { weight }) => total + weight, 0);
    let mark = randomBelow(random, Math.min(sum + 1, 0x10000));
    const chosen = equals.find(({ weight }) => (mark -= weight) <= 0) as SrvRecord;
    order.push(chosen);
    left.splice(left.indexOf(chosen), 1);
  }
  return order;
}

/** Names that the DNS knows nothing of: asking would only take time. */
export function isLocalName(host: string): boolean {
  return !host.replace(/\.$/, "").includes(".") || /\.local\.?$/.test(host);
}
