/** What comes in: told apart, marked with where it came from, and let in or not. */
import { sameIp } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import { isSameFlow, type SipFlow } from "../sip/flow.ts";
import { createResponse } from "../sip/message/build.ts";
import type { MessageFailure } from "../sip/message/failure.ts";
import type { SipRequest, SipResponse } from "../sip/message/message.ts";
import { parseMessage } from "../sip/message/parse.ts";
import type { OpenedToken } from "../sip/proxy/flow-token.ts";
import { cameThrough } from "../sip/registrar/proxied.ts";
import { answersTo, markArrival } from "./arrival.ts";
import type { CallSide } from "./call.ts";
import type { Admission, Identity } from "./gatekeeper.ts";
import { limitAnswer } from "./limit-answer.ts";
import type { EdgeRefusal, SipKeyQuery, SipUserKeys } from "./outputs.ts";
import { partyOf, phoneAt, sideOf } from "./parties.ts";
import { fullOf, nameOf, type Owner } from "./quotas.ts";
import { noteRefusal } from "./refusals.ts";
import { resumes } from "./resuming.ts";
import type { Arrival, DialogContext, EdgeState } from "./state.ts";

/** One message, a binary string, and the flow that it came by. */
export function handleText(state: EdgeState, text: string, flow: SipFlow, now: Instant): void {
  const message = parseMessage(text);
  if (message.kind === "failure") handleMalformed(state, message, flow, now);
  else if (message.kind === "response") handleResponse(state, message, now);
  else handleRequest(state, message, flow, now);
}

/** The keys that were asked for. */
export function handleKeys(state: EdgeState, query: SipKeyQuery, keys: SipUserKeys | undefined, now: Instant): void {
  const resolved = state.gatekeeper.resolve(query, keys, now);
  if (resolved === undefined) return;
  const { request, flow, user, admission } = resolved;
  if (admission.kind === "refused" && admission.why === "wrong-password") {
    state.outputs.push({ kind: "event", event: { type: "wrong-password", user, method: request.method, flow } });
  }
  const claimed = state.claimed.get(request);
  state.claimed.delete(request);
  // Its call may be known again since the password was asked for, or be over.
  const dialog =
    claimed && (claimed.isRouteless ? routelessOf(state, request) : contextOf(state, request, claimed.token));
  admit(state, request, flow, dialog, admission, now);
}

function handleResponse(state: EdgeState, response: SipResponse, now: Instant): void {
  state.stats.responses++;
  if (!state.transactions.handleResponse(response, now)) state.stats.strayResponses++;
}

/** A phone of ours, or a trunk, is told what is wrong; strangers hear nothing. */
function handleMalformed(state: EdgeState, { request, refusal }: MessageFailure, flow: SipFlow, now: Instant): void {
  const isTold = request !== undefined && state.gatekeeper.mayAnswer(flow, isKnownFlow(state, flow), now);
  const answer = isTold ? createResponse(request, refusal.status, { reason: refusal.reason }) : undefined;
  // What is copied from the request may be just what is wrong with it: an answer that nobody can read is not sent.
  const isReadable = answer !== undefined && parseMessage(answer.format()).kind === "response";
  refuse(state, "malformed", flow, now, { response: isReadable ? answer : undefined });
}

function handleRequest(state: EdgeState, request: SipRequest, flow: SipFlow, now: Instant): void {
  const { transactions } = state;
  state.stats.requests++;
  markArrival(request, flow);
  const answers = answersTo(request, flow);
  // What belongs to a transaction that is known was let in before; an ACK is never answered, and shows its token later.
  if (request.method === "ACK") transactions.handleRequest(request, flow, now);
  else if (transactions.isKnown(request)) transactions.handleRequest(request, answers, now);
  else if (request.method === "CANCEL") handleCancel(state, request, answers, now);
  else if (transactions.size >= state.config.limits.transactions) refuse(state, "busy", flow, now);
  else handleNew(state, request, flow, now);
}

/** RFC 3261 §22.1: a CANCEL cannot be challenged, so it is taken from where its INVITE came from, and from nowhere else. */
function handleCancel(state: EdgeState, request: SipRequest, answers: SipFlow, now: Instant): void {
  const invite = state.transactions.cancelledBy(request);
  if (invite !== undefined && isSameFlow(invite.from, answers)) state.transactions.handleRequest(request, answers, now);
  else refuse(state, "stranger", answers, now);
}

function handleNew(state: EdgeState, request: SipRequest, flow: SipFlow, now: Instant): void {
  const own = state.dialogs.takeRoute(request);
  if (own === undefined || own.kind === "forged") return refuse(state, "foreign", flow, now);
  const dialog = own.kind === "dialog" ? contextOf(state, request, own.token) : routelessOf(state, request);
  // Without a token it is the password that proves whose it is.
  const isProven = dialog !== undefined && dialog.isRouteless !== true;
  const isWithin = isProven ? isFromItsSide(state, dialog, flow, request) : state.services.knows(request, flow);
  if (isWithin) return begin(state, request, { flow, identity: undefined, dialog }, now);
  const admission = state.gatekeeper.examine(request, flow, isKnownFlow(state, flow), now);
  if (admission.kind === "lookup") {
    if (dialog !== undefined) state.claimed.set(request, dialog);
    state.outputs.push({ kind: "lookupKeys", query: admission.query, username: admission.username });
  } else admit(state, request, flow, dialog, admission, now);
}

function admit(
  state: EdgeState,
  request: SipRequest,
  flow: SipFlow,
  dialog: DialogContext | undefined,
  admission: Exclude<Admission, { kind: "lookup" }>,
  now: Instant,
): void {
  const answers = answersTo(request, flow);
  // Another copy of it may have been let in while its password was looked up: the transaction absorbs this one.
  if (state.transactions.isKnown(request)) return state.transactions.handleRequest(request, answers, now);
  if (admission.kind === "refused") {
    return refuse(state, admission.why, answers, now, admission);
  }
  const { identity } = admission;
  if (dialog !== undefined) {
    // Who speaks in a dialog from elsewhere than before must be the same, and is there from now on.
    const { from } = dialog;
    if (!isItsSide(from, identity)) return refuse(state, "stranger", flow, now);
    if (from.trunk === undefined) state.calls.move(from, flow, cameThrough(request) !== undefined);
    noteRouteless(state, dialog, now);
  }
  begin(state, request, { flow, identity, dialog }, now);
}

/** A transaction for who has proven who it is, if there is room; what belongs to a call has twice as much, so that calls end. */
function begin(state: EdgeState, request: SipRequest, arrival: Arrival, now: Instant): void {
  const answers = answersTo(request, arrival.flow);
  const owner = ownerOf(state, arrival);
  const holders = state.quotas.of(owner);
  const limit = fullOf(holders, "transactions", arrival.identity === undefined ? 2 : 1);
  if (limit !== undefined) {
    const response = limitAnswer(request, limit, state.ports.random);
    return refuse(state, limit, answers, now, { name: nameOf(owner), response });
  }
  state.arrivals.set(request, arrival);
  state.transactions.handleRequest(request, answers, now, holders);
}

function ownerOf({ gatekeeper }: EdgeState, { flow, identity, dialog }: Arrival): Owner {
  if (identity?.kind === "user") return { user: identity.user, trunk: undefined, flow };
  const trunk = identity?.trunk ?? dialog?.from.trunk ?? gatekeeper.trunkAt(flow);
  return { user: trunk === undefined ? dialog?.from?.name : undefined, trunk, flow };
}

function isItsSide({ name, trunk }: CallSide, identity: Identity): boolean {
  return identity.kind === "trunk" ? trunk === identity.trunk : trunk === undefined && identity.user === name;
}

export function contextOf(state: EdgeState, request: SipRequest, token: OpenedToken): DialogContext {
  const [fromTag, toTag] = [request.fromTag ?? "", request.toTag ?? ""];
  const isFromCaller = token.from === "caller";
  const call = state.calls.find(request.callId, isFromCaller ? fromTag : toTag);
  const caller = call?.caller ?? sideOf(state, token.caller);
  const callee = call?.callees.get(isFromCaller ? toTag : fromTag) ?? call?.answeredBy ?? sideOf(state, token.callee);
  return isFromCaller ? { token, call, from: caller, to: callee } : { token, call, from: callee, to: caller };
}

/**
 * RFC 3261 §12.2.1.1: whoever is in a dialog keeps to its route set. Some phones do not, and send everything to us because
 * we are their outbound proxy: that is good enough while the call is known.
 */
export function routelessOf(state: EdgeState, request: SipRequest): DialogContext | undefined {
  const { callId, fromTag = "", toTag } = request;
  if (toTag === undefined) return undefined;
  const placed = state.calls.find(callId, fromTag);
  const call = placed ?? state.calls.find(callId, toTag);
  const callee = call?.callees.get(placed === undefined ? fromTag : toTag);
  if (call === undefined || callee === undefined) return undefined;
  const parties = { caller: partyOf(state, call.caller), callee: partyOf(state, callee) };
  const [from, to] = placed === undefined ? [callee, call.caller] : [call.caller, callee];
  const token = { ...parties, from: placed === undefined ? "callee" : "caller" } as const;
  return { token, call, from, to, isRouteless: true };
}

export function noteRouteless(state: EdgeState, { call, from, to, isRouteless }: DialogContext, now: Instant): void {
  if (isRouteless !== true || call === undefined) return;
  // The caller has not left out what the answer did not tell it.
  const callee = from === call.caller ? to : from;
  const isCallees = call.dialogs.get(callee)?.isRouteless === true;
  state.calls.trouble(call, "no-route", now, isCallees ? callee.name : from.name);
}

/** Whether it comes from where its sender is: by the dialog, or by what the same user has registered, and is then. */
export function isFromItsSide(state: EdgeState, dialog: DialogContext, flow: SipFlow, request: SipRequest): boolean {
  const { from } = dialog;
  const trunk = state.gatekeeper.trunkAt(flow);
  // One that only takes calls has no source but where it takes them, which may be another trunk's, too. And its name may
  // stand for other servers meanwhile: the one that a call began at ends it.
  if (from.trunk !== undefined) {
    return from.trunk === trunk || state.trunks.isAt(from.trunk, flow) || sameIp(from.flow.remote, flow.remote);
  }
  if (trunk !== undefined) return false;
  // Who begins a call once more proves to be a user still, by what is registered or by the password.
  if (isSameFlow(from.flow, flow) && !resumes(request, dialog)) return true;
  const phone = phoneAt(state, from.name, flow);
  if (phone === undefined) return false;
  state.calls.move(from, flow, phone.through !== undefined);
  return true;
}

function isKnownFlow(state: EdgeState, flow: SipFlow): boolean {
  return state.registrar.hasFlow(flow);
}

/** Without a transaction: what a stranger asks costs no memory. */
function refuse(
  state: EdgeState,
  why: EdgeRefusal,
  to: SipFlow,
  now: Instant,
  { name, response }: { readonly name?: string | undefined; readonly response?: SipResponse | undefined } = {},
): void {
  noteRefusal(state, why, to, name, now);
  if (response !== undefined) state.outputs.push({ kind: "send", to, text: response.format(), by: undefined });
}
