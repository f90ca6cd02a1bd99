/** Requests within a dialog: our Route says whose they are, and where the other side is. */
import type { Crypto } from "../base/ports.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipRequest } from "../sip/message/message.ts";
import { isSipUri } from "../sip/message/uri.ts";
import { originalContact } from "../sip/proxy/contact-alias.ts";
import { type DialogParties, type DialogParty, FlowTokens, type OpenedToken } from "../sip/proxy/flow-token.ts";
import type { Hop } from "../sip/proxy/hop.ts";
import type { OwnNames } from "./names.ts";

/**
 * Values of Route in one request: two of ours for each time that its dialog goes through us, and others'. Each of ours
 * costs a stranger nothing and us an HMAC.
 */
const MAX_ROUTES = 16;

/** What our Route in a request says. */
export type OwnRoute =
  | { readonly kind: "dialog"; readonly token: OpenedToken }
  /** We were named as the way out, and nothing else. */
  | { readonly kind: "plain" }
  /** A token that is not ours, or of another call, or outside of a dialog. */
  | { readonly kind: "forged" };

export class DialogRouting {
  readonly #names: OwnNames;
  readonly #tokens: FlowTokens;

  constructor(names: OwnNames, crypto: Crypto, keys: readonly Uint8Array[]) {
    this.#names = names;
    this.#tokens = new FlowTokens(crypto, keys);
  }

  /**
   * Takes our own values off the request's Route. Undefined where another's comes first, which is not followed; RFC 3261
   * §16.4 lets nothing of a Route reach the next hop that was for us.
   */
  takeRoute(request: SipRequest): OwnRoute | undefined {
    if (request.routes !== MALFORMED && request.routes.length > MAX_ROUTES) return undefined;
    let found: OwnRoute = { kind: "plain" };
    for (;;) {
      const { routes } = request;
      const first = routes === MALFORMED ? undefined : routes[0];
      if (first === undefined) return found;
      if (!isSipUri(first.uri)) return undefined;
      const { user } = first.uri;
      const token = this.#open(user, request);
      if (token === undefined && !this.#names.isOwn(first.uri)) return found.kind === "dialog" ? found : undefined;
      if (token !== undefined) found = { kind: "dialog", token };
      else if (user !== undefined && found.kind !== "dialog") found = { kind: "forged" };
      request.popRoute();
    }
  }

  /**
   * Record-Route for a request that begins a dialog: one value, or two where the sides differ in transport or address
   * (RFC 5658), the callee's on top.
   */
  recordRoute(request: SipRequest, parties: DialogParties): string[] {
    const token = this.#tokens.seal(parties, request.callId, request.fromTag ?? "");
    const [own, other] = [this.#uri(parties.caller, token), this.#uri(parties.callee, token)];
    return own === other ? [own] : [other, own];
  }

  /** RFC 3261 §12.2: what has no tag in To begins something, and its way is ours to choose, not a token's. */
  #open(user: string | undefined, { toTag, callId, fromTag }: SipRequest): OpenedToken | undefined {
    return user === undefined || toTag === undefined
      ? undefined
      : this.#tokens.open(user, callId, fromTag ?? "", toTag);
  }

  /** To the other side, with the Request-URI that it gave itself. */
  hopTo(to: SipFlow | SipTarget, request: SipRequest, isTrunks: boolean = false): Hop {
    const uri = originalContact(request.uriText) ?? request.uriText;
    const sentBy = isTrunks ? this.#names.nameForTrunk(to) : this.#names.nameFor(to);
    return { to, uri, routes: [], recordRoute: [], sentBy };
  }

  #uri({ flow, isTrunk }: DialogParty, token: string): string {
    // Where nothing listens on that transport another of ours is named: later requests come by the same connection, or there.
    const { transport } = this.#names.listenerFor(flow) ?? flow;
    const param = transport === "udp" ? "" : `;transport=${transport}`;
    const name = isTrunk ? this.#names.nameForTrunk(flow) : this.#names.nameFor(flow);
    return `<sip:${token}@${name}${param};lr>`;
  }
}
