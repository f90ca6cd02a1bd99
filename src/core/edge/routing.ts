/** Where a request goes that begins something: to a user's phones, or through a trunk. */
import type { Instant } from "../base/machine.ts";
import { isSameFlow, type SipFlow, type SipTarget } from "../sip/flow.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipRequest } from "../sip/message/message.ts";
import { parseParams } from "../sip/message/params.ts";
import { isSipUri, withoutHeaders } from "../sip/message/uri.ts";
import type { Hop } from "../sip/proxy/hop.ts";
import { userOf, userOfRecord } from "../sip/registrar/address-of-record.ts";
import type { Binding } from "../sip/registrar/binding.ts";
import type { Registrar } from "../sip/registrar/registrar.ts";
import type { EdgeConfig, Trunk } from "./config.ts";
import type { Identity } from "./gatekeeper.ts";
import type { OwnNames } from "./names.ts";
import type { Trunks } from "./trunks.ts";

/** Longer than a connection may take to be open, so that what cannot be reached so is told of earlier. */
const SPEAKS_WITHIN = 6_000;

/** Milliseconds that phones ring before those with a smaller q do: four rings or five. */
const RINGS_FOR = 20_000;

/** RFC 5768 §4.3: a phone that speaks ICE says so in its Contact. */
export const ICE_TAG = "+sip.ice";

/** A hop, and who is there. */
export interface Destination extends Hop {
  readonly name: string;
  /** The flow that its dialog's requests take; a trunk's has no connection yet. */
  readonly flow: SipFlow;
  readonly trunk: Trunk | undefined;
  /** It has said so when it registered. */
  readonly speaksIce?: boolean;
  /** Another proxy stands before it. */
  readonly isProxied?: boolean;
}

export interface Route {
  /** Whom it is for, as a person would say. */
  readonly called: string;
  /** Tried one group after the other. */
  readonly groups: readonly (readonly Destination[])[];
}

export interface Unroutable {
  readonly status: number;
  readonly reason: string;
}

export class Routing {
  readonly #config: EdgeConfig;
  readonly #names: OwnNames;
  readonly #registrar: Registrar;
  readonly #trunks: Trunks;

  constructor(config: EdgeConfig, names: OwnNames, registrar: Registrar, trunks: Trunks) {
    this.#config = config;
    this.#names = names;
    this.#registrar = registrar;
    this.#trunks = trunks;
  }

  /** `from`: who calls its own name rings its other phones. */
  route(request: SipRequest, identity: Identity, from: SipFlow, now: Instant): Route | Unroutable {
    const { uri } = request;
    const user = userOf(uri);
    // Nobody's requests are carried to foreign domains: an open relay is a weapon.
    if (user === undefined || !isSipUri(uri) || !this.#names.isOwn(uri)) {
      return { status: 404, reason: "Not One of Our Users" };
    }
    const all = this.#registrar.bindingsOf(`sip:${user}@${this.#config.domain}`);
    const bindings = all.filter((one) => !isCaller(one, request, from));
    const reachable = bindings.filter(({ state }) => state !== "flow-lost");
    if (reachable.length > 0) return { called: user, groups: this.#groups(reachable) };
    if (bindings.length > 0) return { status: 480, reason: "Phone Has Lost Its Connection" };
    return this.#dial(user, uri.user ?? "", identity, now) ?? { status: 480, reason: "No Phone Registered" };
  }

  /** Whether a user may call this number through this trunk. */
  mayDial(user: string, trunk: Trunk, number: string): boolean {
    return isFor(trunk, number) && isOpenTo(trunk, user);
  }

  /** RFC 3261 §16.6: the phones that the user likes equally ring at once, the others when those have refused. */
  #groups(bindings: readonly Binding[]): Destination[][] {
    const groups: Destination[][] = [];
    let priority: number | undefined;
    for (const binding of bindings) {
      if (binding.priority !== priority) groups.push([]);
      priority = binding.priority;
      groups.at(-1)?.push(this.#phone(binding));
    }
    return groups;
  }

  #phone({ aor, contact, params, path, flow, through }: Binding): Destination {
    const name = userOfRecord(aor);
    const sentBy = this.#names.nameFor(flow);
    // RFC 3261 §16.6 step 2: what a Request-URI may not have is left out.
    const uri = withoutHeaders(contact);
    const hop = { to: flow, uri, routes: path, recordRoute: [], sentBy, ringsFor: RINGS_FOR };
    const isProxied = through !== undefined;
    return { ...hop, name, flow, trunk: undefined, speaksIce: hasIceTag(params), isProxied };
  }

  /** `written`: with its escapes, as it goes on. */
  #dial(number: string, written: string, identity: Identity, now: Instant): Route | Unroutable | undefined {
    // From one trunk to another would be somebody else's call at our cost.
    if (identity.kind !== "user") return undefined;
    const trunks = this.#config.trunks.filter((trunk) => trunk.target !== undefined && isFor(trunk, number));
    if (trunks.length === 0) return undefined;
    const open = trunks.filter((trunk) => isOpenTo(trunk, identity.user));
    if (open.length === 0) return { status: 403, reason: "Not Allowed to Dial Out" };
    const servers = open.flatMap((trunk) => {
      return this.#trunks.targetsOf(trunk, now).map((target) => this.#server(trunk, target, written, now));
    });
    if (servers.length === 0) return { status: 503, reason: "Provider's Address Is Not Known" };
    // RFC 3263 §4.3: the next server, of this provider or of another, is for when one cannot be reached or says 503.
    return { called: number, groups: servers.map((one, at) => [{ ...one, isSpare: at > 0 }]) };
  }

  #server(trunk: Trunk, target: SipTarget, written: string, now: Instant): Destination {
    const { host, name } = trunk;
    const { transport, address, local = address } = target;
    const isNamed = trunk.target !== undefined && "uri" in trunk.target;
    const said = isNamed ? trunk.target.uri.params.get("transport") : transport === "udp" ? undefined : transport;
    const uri = `sip:${written}@${host}${said === undefined ? "" : `;transport=${said}`}`;
    const flow = { transport, connection: 0, local, remote: address };
    const hop = { to: target, uri, routes: [], recordRoute: [], speaksWithin: SPEAKS_WITHIN };
    const overStream = this.#trunks.overStream(target, now);
    return { ...hop, overStream, sentBy: this.#names.nameForTrunk(target), name, flow, trunk };
  }
}

function isFor({ prefixes }: Trunk, number: string): boolean {
  return prefixes.some((prefix) => number.startsWith(prefix));
}

function isOpenTo({ users }: Trunk, user: string): boolean {
  return users === "all" || users.has(user);
}

/** `params`: of a Contact, `;q=0.5;+sip.ice`. */
function hasIceTag(params: string): boolean {
  const parsed = params === "" ? undefined : parseParams(params, 0, params.length);
  return parsed !== undefined && parsed !== MALFORMED && parsed.has(ICE_TAG);
}

/** Behind a proxy all phones are on one flow: the Contact tells them apart. */
function isCaller({ flow, contact, through }: Binding, { contacts }: SipRequest, from: SipFlow): boolean {
  if (!isSameFlow(flow, from)) return false;
  return through === undefined || (Array.isArray(contacts) && contacts[0]?.uriText === contact);
}
