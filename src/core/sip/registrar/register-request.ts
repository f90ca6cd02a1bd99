/** What a REGISTER asks for, read once and judged before anything is changed. */
import { MALFORMED } from "../message/characters.ts";
import { parseSeconds, type SipRequest } from "../message/message.ts";
import type { NameAddress } from "../message/name-address.ts";
import { isSipUri, type SipUri } from "../message/uri.ts";
import { isSameUri } from "../message/uri-comparison.ts";
import type { RegistrarConfig } from "./config.ts";

export interface AskedContact {
  readonly uri: SipUri;
  /** As it was given. */
  readonly text: string;
  readonly params: string;
  readonly priority: number;
  readonly instance: string | undefined;
  /** Granted, in seconds; 0: to be removed. */
  readonly lifetime: number;
}

/** What is asked for: the bindings that there are, an end of all, or these. */
export type Asked = "none" | "remove-all" | readonly AskedContact[];

export interface Refused {
  readonly status: number;
  readonly reason?: string;
  readonly headers?: readonly (readonly [string, string])[];
}

export function readRegister(request: SipRequest, config: RegistrarConfig): Asked | Refused {
  const { contacts, expires } = request;
  if (contacts === "*") {
    // RFC 3261 §10.3 step 6: "*" is for an end of all, and for nothing else.
    return expires === 0 ? "remove-all" : { status: 400, reason: "Contact * Needs Expires 0" };
  }
  if (contacts === MALFORMED || contacts.length > config.bindingsPerUser) {
    return { status: 400, reason: "Too Many Contacts" };
  }
  if (contacts.length === 0) return "none";
  const asked: AskedContact[] = [];
  for (const contact of contacts) {
    const one = readContact(contact, expires, config);
    if ("status" in one) return one;
    if (asked.some((other) => isSameUri(other.uri, one.uri))) return { status: 400, reason: "Contact Given Twice" };
    asked.push(one);
  }
  return asked;
}

function readContact(
  { uri, uriText, params }: NameAddress,
  expires: SipRequest["expires"],
  config: RegistrarConfig,
): AskedContact | Refused {
  if (!isSipUri(uri)) return { status: 400, reason: "Contact Must Be a SIP URI" };
  const lifetime = granted(params.get("expires"), expires, config);
  if (lifetime === undefined) {
    // RFC 3261 §10.3 step 7: 423 says what the shortest is.
    return { status: 423, headers: [["Min-Expires", String(config.shortest)]] };
  }
  let rest = "";
  for (const { name, text } of params) {
    if (name !== "expires") rest += text === undefined ? `;${name}` : `;${name}=${text}`;
  }
  const priority = priorityOf(params.get("q"));
  return { uri, text: uriText, params: rest, priority, instance: params.get("+sip.instance"), lifetime };
}

/** Seconds; undefined: less than is granted. What is no number counts as none (RFC 3261 §10.2.1.1, §20.10). */
function granted(own: string | undefined, all: SipRequest["expires"], config: RegistrarConfig): number | undefined {
  let asked = own === undefined ? undefined : parseSeconds(own);
  if (asked === undefined || asked === MALFORMED) asked = all;
  if (asked === undefined || asked === MALFORMED) asked = config.usual;
  if (asked === 0) return 0;
  return asked < config.shortest ? undefined : Math.min(asked, config.longest);
}

/** RFC 3261 §20.10 qvalue, in thousandths; 1 where there is none or it is none. */
function priorityOf(q: string | undefined): number {
  return q !== undefined && /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? Math.round(Number(q) * 1000) : 1000;
}
