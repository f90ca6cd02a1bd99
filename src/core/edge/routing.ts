/** Where a request goes that begins something: to a user's phones, or through a trunk. */
import { isSameFlow, type SipFlow } from "../sip/flow.ts";
import type { SipRequest } from "../sip/message/message.ts";
import { isSipUri } from "../sip/message/uri.ts";
import type { Hop } from "../sip/proxy/hop.ts";
import { userOf } from "../sip/registrar/address-of-record.ts";
import type { Binding } from "../sip/registrar/binding.ts";
import type { Registrar } from "../sip/registrar/registrar.ts";
import type { EdgeConfig, Trunk } from "./config.ts";
import type { Identity } from "./gatekeeper.ts";
import type { OwnNames } from "./names.ts";

/** Milliseconds that phones ring before those with a smaller q do: four rings or five. */
const RINGS_FOR = 20_000;

/** A hop, and who is there. */
export interface Destination extends Hop {
  readonly name: string;
  /** The flow that its dialog's requests take; a trunk's has no connection yet. */
  readonly flow: SipFlow;
  readonly trunk: Trunk | undefined;
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

  constructor(config: EdgeConfig, names: OwnNames, registrar: Registrar) {
    this.#config = config;
    this.#names = names;
    this.#registrar = registrar;
  }

  /** `from`: who calls its own name rings its other phones. */
  route(request: SipRequest, identity: Identity, from: SipFlow): Route | Unroutable {
    const { uri } = request;
    const user = userOf(uri);
    // Nobody's requests are carried to foreign domains: an open relay is a weapon.
    if (user === undefined || !isSipUri(uri) || !this.#names.isOwn(uri)) {
      return { status: 404, reason: "Not One of Our Users" };
    }
    const all = this.#registrar.bindingsOf(`sip:${user}@${this.#config.domain}`);
    const bindings = all.filter(({ flow }) => !isSameFlow(flow, from));
    const reachable = bindings.filter(({ state }) => state !== "flow-lost");
    if (reachable.length > 0) return { called: user, groups: this.#groups(reachable) };
    if (bindings.length > 0) return { status: 480, reason: "Phone Has Lost Its Connection" };
    return this.#dial(user, uri.user ?? "", identity) ?? { status: 480, reason: "No Phone Registered" };
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

  #phone({ aor, contact, path, flow }: Binding): Destination {
    const name = aor.slice("sip:".length, aor.lastIndexOf("@"));
    const sentBy = this.#names.nameFor(flow);
    const hop = { to: flow, uri: contact, routes: path, recordRoute: [], sentBy, ringsFor: RINGS_FOR };
    return { ...hop, name, flow, trunk: undefined };
  }

  /** `written`: with its escapes, as it goes on. */
  #dial(number: string, written: string, identity: Identity): Route | Unroutable | undefined {
    // From one trunk to another would be somebody else's call at our cost.
    if (identity.kind !== "user") return undefined;
    const trunks = this.#config.trunks.filter(({ prefixes, target }) => {
      return target !== undefined && prefixes.some((prefix) => number.startsWith(prefix));
    });
    if (trunks.length === 0) return undefined;
    const open = trunks.filter(({ users }) => users === "all" || users.has(identity.user));
    if (open.length === 0) return { status: 403, reason: "Not Allowed to Dial Out" };
    return { called: number, groups: open.map((trunk) => this.#trunk(trunk, written)).filter((one) => one.length > 0) };
  }

  #trunk(trunk: Trunk, written: string): Destination[] {
    const { target, host, name } = trunk;
    const listener = target && this.#names.listenerFor(target);
    if (target === undefined || listener === undefined) return [];
    const uri = `sip:${written}@${host}${target.transport === "udp" ? "" : `;transport=${target.transport}`}`;
    const flow = { transport: target.transport, connection: 0, local: listener.local, remote: target.address };
    return [{ to: target, uri, routes: [], recordRoute: [], sentBy: listener.name, name, flow, trunk }];
  }
}
