/** Names of header fields: one spelling of each to compare by, compact forms (RFC 3261 §7.3.3), and which come once. */

const compact: Readonly<Record<string, string>> = {
  a: "accept-contact",
  b: "referred-by",
  c: "content-type",
  d: "request-disposition",
  e: "content-encoding",
  f: "from",
  i: "call-id",
  j: "reject-contact",
  k: "supported",
  l: "content-length",
  m: "contact",
  o: "event",
  r: "refer-to",
  s: "subject",
  t: "to",
  u: "allow-events",
  v: "via",
  x: "session-expires",
  y: "identity",
};

const common = [
  ...["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Route", "Record-Route", "Path", "Expires"],
  ...["Content-Length", "Content-Type", "User-Agent", "Server", "Allow", "Supported", "Require", "Proxy-Require"],
  ...["Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Accept", "Event", "Subject"],
];

/** The spellings that nearly all messages have, so that none is put into lower case again. */
const known: ReadonlyMap<string, string> = new Map([
  ...Object.entries(compact),
  ...Object.entries(compact).map(([short, long]) => [short.toUpperCase(), long] as const),
  ...common.map((name) => [name, name.toLowerCase()] as const),
  ...common.map((name) => [name.toLowerCase(), name.toLowerCase()] as const),
]);

/** The long name in lower case. */
export function canonicalName(name: string): string {
  return known.get(name) ?? name.toLowerCase();
}

/** RFC 3261 §7.3.1 and §20: fields that hold one value; were there two, two readers could take different ones. */
const single = [
  ...["from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires", "min-expires"],
  ...["event", "session-expires", "min-se", "date", "subject", "mime-version", "refer-to", "rseq", "rack"],
];

/** A bit for each of them. */
export const SINGLE_HEADERS: ReadonlyMap<string, number> = new Map(single.map((name, i) => [name, 1 << i]));
