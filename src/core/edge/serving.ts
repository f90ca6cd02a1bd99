/** Requests that were let in, each by its kind: registered, answered here, or forwarded. */
import type { Instant } from "../base/machine.ts";
import { hexOf } from "../sip/digest/algorithm.ts";
import type { SipFlow } from "../sip/flow.ts";
import { createResponse, type ResponseParts } from "../sip/message/build.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import { parseCredentials } from "../sip/message/credentials.ts";
import { judgeRequest } from "../sip/message/judge.ts";
import type { SipRequest } from "../sip/message/message.ts";
import { isSipUri } from "../sip/message/uri.ts";
import { addressOfRecord, userOf } from "../sip/registrar/address-of-record.ts";
import { cameThrough } from "../sip/registrar/proxied.ts";
import type { ServerTransaction } from "../sip/transaction/server.ts";
import type { CallSide } from "./call.ts";
import { isRefusedCall, refuseCall, withRoom } from "./call-room.ts";
import { dialsElsewhere } from "./dialog-targets.ts";
import type { Identity } from "./gatekeeper.ts";
import { noteCseq } from "./hanging-up.ts";
import { isDirect } from "./media-policy.ts";
import { partyOf, reach } from "./parties.ts";
import { optionsAnswer } from "./requests.ts";
import { resumed } from "./resuming.ts";
import type { Destination, Route } from "./routing.ts";
import { hasSession } from "./session-body.ts";
import type { Arrival, DialogContext, EdgeState, Owned } from "./state.ts";
import { hopWithin } from "./trunk-ways.ts";

const JUDGE = { role: "proxy", schemes: ["sip", "sips"], extensions: ["path"] } as const;

/** RFC 3261 §12.1, RFC 6665 §4.1, RFC 3515 §2.4: requests that begin a dialog. */
const DIALOG_METHODS: ReadonlySet<string> = new Set(["INVITE", "SUBSCRIBE", "REFER", "NOTIFY"]);

export function serve(state: EdgeState, transaction: ServerTransaction, now: Instant): void {
  const { request } = transaction;
  if (request.method === "CANCEL") return cancel(state, transaction, now);
  const arrival = state.arrivals.get(request);
  state.arrivals.delete(request);
  if (arrival === undefined) return;
  if (arrival.identity?.kind === "trunk") settleTrunk(state, arrival.flow);
  const verdict = judgeRequest(request, JUDGE);
  if (verdict !== undefined) respond(state, transaction, verdict.status, now, verdict);
  else if (arrival.dialog !== undefined) serveDialog(state, transaction, arrival.dialog, now);
  else if (state.services.knows(request, arrival.flow)) askService(state, transaction, "", arrival.flow, now);
  else if (arrival.identity === undefined) respond(state, transaction, 403, now);
  else if (request.method === "REGISTER") register(state, transaction, arrival, now);
  else if (isForUs(state, request)) state.transactions.respond(transaction, optionsAnswer(request), now);
  else begin(state, transaction, arrival.flow, arrival.identity, now);
}

/** Its connection stays for as long as it likes. */
function settleTrunk({ trunks, outputs }: EdgeState, flow: SipFlow): void {
  if (trunks.noteFlow(flow)) outputs.push({ kind: "settle", connection: flow.connection });
}

function respond(
  state: EdgeState,
  transaction: ServerTransaction,
  status: number,
  now: Instant,
  parts: ResponseParts = {},
): void {
  const toTag = hexOf(state.ports.random.bytes(8));
  state.transactions.respond(transaction, createResponse(transaction.request, status, { toTag, ...parts }), now);
}

function cancel(state: EdgeState, transaction: ServerTransaction, now: Instant): void {
  const invite = state.transactions.cancelledBy(transaction.request);
  respond(state, transaction, invite === undefined ? 481 : 200, now);
  if (invite === undefined || state.services.handleCancel(invite, now)) return;
  state.proxy.handleCancel(invite, now);
}

function register(state: EdgeState, transaction: ServerTransaction, { flow, identity }: Arrival, now: Instant): void {
  if (identity?.kind !== "user") return respond(state, transaction, 403, now);
  const response = state.registrar.handleRegister(transaction.request, flow, identity.user, now);
  if (response.status === 200 && flow.connection !== 0) {
    state.outputs.push({ kind: "settle", connection: flow.connection });
  }
  state.transactions.respond(transaction, response, now);
}

/** RFC 3261 §11: an OPTIONS to the server itself. */
function isForUs(state: EdgeState, { method, uri }: SipRequest): boolean {
  return method === "OPTIONS" && isSipUri(uri) && uri.user === undefined && state.names.isOwn(uri);
}

/** What begins something: it is for a user's phones, or for a number. */
function begin(
  state: EdgeState,
  transaction: ServerTransaction,
  flow: SipFlow,
  identity: Identity,
  now: Instant,
): void {
  const { request } = transaction;
  if (identity.kind === "user") {
    // Nobody calls under another's name.
    if (!isOwnName(state, request, identity.user)) {
      return respond(state, transaction, 403, now, { reason: "From Is Not You" });
    }
  }
  hideFromOthers(state, request, identity.kind === "trunk");
  if (identity.kind === "user" && isForService(state, request)) {
    if (isRefusedCall(state, transaction, { user: identity.user, trunk: undefined, flow }, now)) return;
    return askService(state, transaction, identity.user, flow, now);
  }
  if (isServersOwn(state, request, identity)) return respond(state, transaction, 489, now);
  // A phone that follows it dials, and we pay; and a trunk shows an address and nothing else.
  if (identity.kind === "trunk" && request.method === "REFER") return respond(state, transaction, 403, now);
  const route = state.routing.route(request, identity, flow, now);
  if ("status" in route) return respond(state, transaction, route.status, now, { reason: route.reason });
  const name = identity.kind === "user" ? identity.user : identity.trunk.name;
  const trunk = identity.kind === "trunk" ? identity.trunk : undefined;
  if (request.method !== "INVITE") {
    return forward(state, transaction, route, { flow, name, trunk, leg: undefined }, { by: { kind: "plain" } }, now);
  }
  if (isRefusedCall(state, transaction, { user: trunk === undefined ? name : undefined, trunk, flow }, now)) return;
  const open = withRoom(state, route);
  if (open === undefined) return refuseCall(state, transaction, "trunk-calls", flow, name, now);
  const isProxied = cameThrough(request) !== undefined;
  const caller: CallSide = { name, flow, trunk, isProxied, leg: undefined };
  const call = state.calls.begin(request, caller, route.called, now);
  if (call === undefined) return respond(state, transaction, 482, now, { reason: "Call Is Already There" });
  call.isDirect = isDirect(state.config, request, caller, open);
  call.invite = transaction;
  call.owned = { by: { kind: "call", call } };
  forward(state, transaction, open, caller, call.owned, now);
}

/**
 * RFC 6665 §4.1.2.2, RFC 3903 §6: subscriptions to one's own mailbox, and publications, are asked of the server, which has
 * neither; a user's own phones are not asked instead.
 */
function isServersOwn(state: EdgeState, { method, uri }: SipRequest, identity: Identity): boolean {
  if (method === "PUBLISH") return true;
  const own = identity.kind === "user" ? `sip:${identity.user}@${state.config.domain}` : undefined;
  return method === "SUBSCRIBE" && own !== undefined && addressOfRecord(uri, state.config.domain) === own;
}

/** A user who bears a service's name goes before it. */
function isForService(state: EdgeState, request: SipRequest): boolean {
  const aor = addressOfRecord(request.uri, state.config.domain);
  return state.services.serves(request) && aor !== undefined && state.registrar.bindingsOf(aor).length === 0;
}

function askService(state: EdgeState, transaction: ServerTransaction, user: string, flow: SipFlow, now: Instant): void {
  state.services.handleRequest(transaction, { user, flow }, now);
}

function forward(
  state: EdgeState,
  transaction: ServerTransaction,
  route: Route,
  caller: CallSide,
  owned: Owned,
  now: Instant,
): void {
  const { request } = transaction;
  const isLeftAlone = owned.by.kind === "call" && owned.by.call.isDirect;
  const beginsDialog = DIALOG_METHODS.has(request.method) && !isLeftAlone;
  const groups = route.groups.map((group) =>
    group.map((destination): Destination => {
      if (!beginsDialog) return destination;
      const parties = { caller: partyOf(state, caller), callee: partyOf(state, destination) };
      return { ...destination, recordRoute: state.dialogs.recordRoute(request, parties) };
    }),
  );
  state.proxy.forward(transaction, groups, owned, now);
}

/** A request within a dialog: to the other side, wherever that is now. */
function serveDialog(state: EdgeState, transaction: ServerTransaction, known: DialogContext, now: Instant): void {
  const { request } = transaction;
  const dialog = resumed(state, request, known, now);
  if (typeof dialog === "number") return respond(state, transaction, dialog, now);
  if (dialsElsewhere(state, dialog, request)) {
    return respond(state, transaction, 403, now, { reason: "Not Allowed to Dial Within a Call" });
  }
  hideFromOthers(state, request, dialog.from.trunk !== undefined);
  const { from } = dialog.token;
  if (dialog.call !== undefined) noteCseq(dialog.call, from === "caller" ? dialog.to : dialog.from, from, request);
  const hop = hopWithin(state, dialog, reach(state, dialog, request), request, now);
  const { method } = request;
  const owned: Owned = { by: { kind: "dialog", dialog, method, hasOffer: hasSession(request), cameAt: now } };
  state.proxy.forward(transaction, [[hop]], owned, now);
}

function isOwnName(state: EdgeState, { from }: SipRequest, user: string): boolean {
  return isSipUri(from.uri) && state.names.isOwn(from.uri) && userOf(from.uri) === user;
}

/** RFC 3325 §5: an identity that a user asserts is worth nothing; and its answer to our challenge is ours alone. */
export function hideFromOthers(state: EdgeState, request: SipRequest, isTrunks: boolean): void {
  if (!isTrunks) {
    request.headers.remove("P-Asserted-Identity");
    request.headers.remove("Remote-Party-ID");
  }
  for (const field of request.headers.fields) {
    const isAnswer = field.name === "authorization" || field.name === "proxy-authorization";
    if (isAnswer && realmOf(field.value) === state.config.digest.realm) request.headers.delete(field);
  }
}

function realmOf(value: string): string | undefined {
  const credentials = parseCredentials(value);
  return credentials === MALFORMED ? undefined : credentials.params.get("realm");
}
