/**
 * Who may send what. A stranger's request costs no memory: it is dropped, or met with a challenge that needs none. Let in
 * are own users by their passwords, trunks by their addresses, and who belongs to a dialog by its token.
 */

import type { Instant } from "../base/machine.ts";
import type { Ports } from "../base/ports.ts";
import { anyPrefixContains } from "../base/prefix.ts";
import { hexOf } from "../sip/digest/algorithm.ts";
import { type Claim, type ClaimFailure, DigestServer } from "../sip/digest/authorization.ts";
import type { SipFlow } from "../sip/flow.ts";
import { createResponse } from "../sip/message/build.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipRequest, SipResponse } from "../sip/message/message.ts";
import { parseUri } from "../sip/message/uri.ts";
import { userOf } from "../sip/registrar/address-of-record.ts";
import { Budgets } from "./budgets.ts";
import type { EdgeConfig, Trunk } from "./config.ts";
import { limitAnswer } from "./limit-answer.ts";
import type { EdgeRefusal, SipKeyQuery, SipUserKeys } from "./outputs.ts";

/** Who has sent a request. */
export type Identity =
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "trunk"; readonly trunk: Trunk };

export type Admission =
  | { readonly kind: "admitted"; readonly identity: Identity }
  | {
      readonly kind: "refused";
      readonly why: EdgeRefusal;
      readonly response: SipResponse | undefined;
      /** Whose, as far as that is known or claimed. */
      readonly name: string | undefined;
    }
  /** The password has to be looked up: `resolve` says how it ends. */
  | { readonly kind: "lookup"; readonly query: SipKeyQuery; readonly username: string };

/** Programs that try all addresses of the Internet for telephones to break into, by what they call themselves. */
const SCANNERS: readonly string[] = [
  "friendly-scanner",
  "sipvicious",
  "sipcli",
  "sip-scan",
  "sundayddr",
  "iwar",
  "vaxsipuseragent",
  "pplsip",
  "sipsak",
];

interface Pending {
  readonly claim: Claim;
  readonly request: SipRequest;
  readonly flow: SipFlow;
}

export interface Resolved {
  readonly request: SipRequest;
  readonly flow: SipFlow;
  /** Whom the credentials name. */
  readonly user: string;
  readonly admission: Exclude<Admission, { kind: "lookup" }>;
}

export class Gatekeeper {
  readonly #config: EdgeConfig;
  readonly #random: Ports["random"];
  readonly #digest: DigestServer;
  readonly #budgets: Budgets;
  readonly #pending: Map<SipKeyQuery, Pending> = new Map();
  #lastQuery = 0;

  constructor(config: EdgeConfig, ports: Ports) {
    this.#config = config;
    this.#random = ports.random;
    this.#digest = new DigestServer(config.digest, ports);
    this.#budgets = new Budgets(config.limits, ports.random);
  }

  trunkAt({ remote }: SipFlow): Trunk | undefined {
    return this.#config.trunks.find(({ sources }) => anyPrefixContains(sources, remote));
  }

  /** `flow`: where it came from; `isKnownFlow`: a phone of ours is registered there. */
  examine(request: SipRequest, flow: SipFlow, isKnownFlow: boolean, now: Instant): Admission {
    const trunk = this.trunkAt(flow);
    if (trunk !== undefined) {
      // Its address is all that it shows, and is easily forged: it is not told, and what is under way goes on.
      if (!this.#budgets.takeOfTrunk(trunk, now)) return refused("trunk-budget", undefined, trunk.name);
      return { kind: "admitted", identity: { kind: "trunk", trunk } };
    }
    // Before any budget: over a stream its end would be told.
    if (isScanner(request)) return refused("scanner");
    const claim = this.#claimOf(request, flow);
    const standing = isKnownFlow ? "phone" : typeof claim === "string" ? "stranger" : "proven";
    if (!this.#budgets.take(flow, standing, now)) return refused("over-budget", this.#later(request, flow));
    if (claim === "malformed") return refused("malformed", this.#response(request, 400, "Malformed Credentials"));
    if (claim === "absent") return this.#ask(request, flow, isKnownFlow);
    if (claim === "stale") return refused("stranger", this.#challenge(request, flow, true));
    if (!isFor(claim, request)) return refused("stranger", this.#response(request, 400, "Credentials of Another URI"));
    // A phone that is registered goes on whoever guesses beside it.
    if (!isKnownFlow && this.#budgets.isBanned(flow, claim.username, now))
      return refused("banned", undefined, claim.username);
    if (this.#pending.size >= this.#config.limits.lookups) return refused("busy");
    const query = ++this.#lastQuery as SipKeyQuery;
    this.#pending.set(query, { claim, request, flow });
    return { kind: "lookup", query, username: claim.username };
  }

  /** Whether a trunk or a phone of ours may be told what is wrong with its message. */
  mayAnswer(flow: SipFlow, isKnownFlow: boolean, now: Instant): boolean {
    const trunk = this.trunkAt(flow);
    if (trunk !== undefined) return this.#budgets.takeOfTrunk(trunk, now);
    return isKnownFlow && this.#budgets.take(flow, "phone", now);
  }

  #claimOf(request: SipRequest, { remote }: SipFlow): Claim | ClaimFailure {
    const header = request.method === "REGISTER" ? "Authorization" : "Proxy-Authorization";
    const given = request.credentials(header).filter(({ scheme }) => scheme === "digest");
    return this.#digest.examine(
      given.map(({ params }) => params),
      remote,
    );
  }

  /** `keys`: undefined when there is no such user, which is answered like a wrong password. */
  resolve(query: SipKeyQuery, keys: SipUserKeys | undefined, now: Instant): Resolved | undefined {
    const pending = this.#pending.get(query);
    if (pending === undefined) return undefined;
    this.#pending.delete(query);
    const { claim, request, flow } = pending;
    const ha1 = claim.algorithm === "MD5" ? keys?.md5 : keys?.sha256;
    const verdict = this.#digest.verify(claim, request.method, ha1);
    return { request, flow, user: claim.username, admission: this.#judge(verdict, claim, request, flow, now) };
  }

  #judge(
    verdict: "right" | "wrong" | "replayed",
    claim: Claim,
    request: SipRequest,
    flow: SipFlow,
    now: Instant,
  ): Exclude<Admission, { kind: "lookup" }> {
    if (verdict === "right") return { kind: "admitted", identity: { kind: "user", user: claim.username } };
    if (verdict === "replayed") return refused("stranger", this.#challenge(request, flow, true));
    // Who else is behind that address is not locked out: right passwords are still taken.
    const isAnswered = this.#budgets.takeFailure(flow, claim.username, now);
    const response = isAnswered ? this.#challenge(request, flow, false) : undefined;
    return refused("wrong-password", response, claim.username);
  }

  /** Who asks without credentials is asked for them, but for what only finds out that we are here. */
  #ask(request: SipRequest, flow: SipFlow, isKnownFlow: boolean): Admission {
    if (request.method === "OPTIONS" && !isKnownFlow) return refused("stranger");
    return refused("stranger", this.#challenge(request, flow, false));
  }

  #challenge(request: SipRequest, { remote }: SipFlow, isStale: boolean): SipResponse {
    const isRegister = request.method === "REGISTER";
    const name = isRegister ? "WWW-Authenticate" : "Proxy-Authenticate";
    const headers = this.#digest.challenges(remote, isStale).map((value) => [name, value] as const);
    return createResponse(request, isRegister ? 401 : 407, { toTag: this.#tag(), headers });
  }

  /**
   * RFC 3261 §21.5.4: when to try again. Over UDP silence says it, for the phone repeats its request, and the source may
   * be forged; over a stream nothing is repeated, and the phone would wait for half a minute.
   */
  #later(request: SipRequest, { connection }: SipFlow): SipResponse | undefined {
    return connection === 0 ? undefined : limitAnswer(request, "over-budget", this.#random);
  }

  #response(request: SipRequest, status: number, reason: string): SipResponse {
    return createResponse(request, status, { toTag: this.#tag(), reason });
  }

  #tag(): string {
    return hexOf(this.#random.bytes(8));
  }
}

function refused(why: EdgeRefusal, response?: SipResponse, name?: string): Extract<Admission, { kind: "refused" }> {
  return { kind: "refused", why, response, name };
}

/**
 * RFC 7616 §3.4.6: credentials count for whom they were made for. Phones write the host in several ways; and where a
 * REGISTER goes its To says.
 */
function isFor({ uri }: Claim, request: SipRequest): boolean {
  if (uri === request.uriText || request.method === "REGISTER") return true;
  const said = parseUri(uri);
  return said !== MALFORMED && userOf(said) === userOf(request.uri);
}

function isScanner(request: SipRequest): boolean {
  const name = request.header("user-agent")?.toLowerCase();
  return name !== undefined && SCANNERS.some((scanner) => name.includes(scanner));
}
