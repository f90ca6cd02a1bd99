/** Messages on their way through the proxy: their Contacts and descriptions, and what they tell of their call. */
import { detached } from "../base/detached.ts";
import type { Instant } from "../base/machine.ts";
import type { RelayEvent } from "../relay/outputs.ts";
import { hexOf } from "../sip/digest/algorithm.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipRequest, SipResponse } from "../sip/message/message.ts";
import { BRANCH_COOKIE } from "../sip/message/via.ts";
import { aliasContact } from "../sip/proxy/contact-alias.ts";
import type { Branch, Fork } from "../sip/proxy/fork.ts";
import { forwarded } from "../sip/proxy/forwarding.ts";
import type { Carriage } from "../sip/proxy/outputs.ts";
import { type Call, type CallSide, MAX_DIALOGS } from "./call.ts";
import { NOT_OBSERVED } from "./calls.ts";
import { noteTargets } from "./dialog-targets.ts";
import { noteDialog } from "./hanging-up.ts";
import type { Arrived, Passage } from "./media-path.ts";
import { isOpen, reach } from "./parties.ts";
import { calleeOf, isGone, passageOf } from "./passages.ts";
import { contextOf, isFromItsSide, noteRouteless, routelessOf } from "./reception.ts";
import { renumber } from "./resuming.ts";
import type { Destination } from "./routing.ts";
import { hideFromOthers } from "./serving.ts";
import { hasSession } from "./session-body.ts";
import { type DialogContext, type EdgeState, type ForkOwner, ownerOf } from "./state.ts";
import { wayWithin } from "./trunk-ways.ts";

export function carry(state: EdgeState, carriage: Carriage, now: Instant): void {
  const { branch, message } = carriage;
  const owner = ownerOf(branch.fork);
  if (owner.kind === "call" && beginsTooMany(owner.call, message)) return;
  const { trunk } = branch.hop as Partial<Destination>;
  if (owner.kind === "call" && trunk !== undefined) state.quotas.hold(owner.call, trunk);
  const sender = carriage.kind === "request" ? branch.fork.server.from : flowOf(branch);
  // L6: who will speak to the other directly must know where it is.
  const isUntouched = owner.kind === "untouched" || (owner.kind === "call" && owner.call.isDirect);
  if (isUntouched) return finish(state, carriage, undefined, now);
  if (sender !== undefined && message.kind === "request") aliasContact(message, sender);
  if (sender !== undefined && message.kind === "response" && message.status < 300) aliasContact(message, sender);
  const passage = passageOf(carriage, owner);
  if (passage === undefined) finish(state, carriage, undefined, now);
  // RFC 3261 §12.2.2: the early dialog of a phone that has given way is none any more, and opens no ports anew.
  else if (owner.kind === "dialog" && isGone(passage)) finish(state, carriage, 481, now);
  else pass(state, passage, now);
}

function beginsTooMany({ callees }: Call, message: SipRequest | SipResponse): boolean {
  if (message.kind === "request") return false;
  if (callees.size < (message.status < 200 ? MAX_DIALOGS : 2 * MAX_DIALOGS)) return false;
  return message.toTag !== undefined && !callees.has(message.toTag);
}

/** The flow of a phone that answers; undefined for a trunk, whose Contact is right. */
function flowOf({ hop }: Branch): SipFlow | undefined {
  const { trunk } = hop as Partial<Destination>;
  return trunk === undefined && "remote" in hop.to ? hop.to : undefined;
}

export function pass(state: EdgeState, passage: Passage, now: Instant): void {
  const arrived = state.media.enter(passage, now);
  if (arrived !== undefined) goOn(state, arrived, now);
}

/** The description is as it is to be. */
export function goOn(state: EdgeState, { passage, refusal }: Arrived, now: Instant): void {
  const { call, onward } = passage;
  if (refusal === undefined && call.session !== undefined) renumber(onward.message, call);
  if (onward.kind !== "ack") finish(state, onward, refusal, now);
  else if (refusal === undefined) sendAck(state, onward.message, onward.to, passage.to.trunk !== undefined);
}

/** On to the proxy; what it means for the call is noted first, because the answer may be out at once. */
function finish(state: EdgeState, carriage: Carriage, refusal: number | undefined, now: Instant): void {
  const owner = ownerOf(carriage.branch.fork);
  if (carriage.kind === "response" && refusal === undefined) {
    if (owner.kind === "call") noteAnswer(state, owner.call, carriage.branch, carriage.message, now);
    else if (owner.kind === "dialog") {
      noteDialogAnswer(state, owner, carriage.branch.fork.server.request, carriage.message, now);
    }
  }
  state.proxy.handleCarried(carriage, refusal, now);
}

function noteAnswer(state: EdgeState, call: Call, branch: Branch, response: SipResponse, now: Instant): void {
  const callee = calleeOf(call, branch);
  const { status, toTag } = response;
  if (toTag !== undefined && !call.callees.has(toTag)) call.callees.set(detached(toTag), callee);
  if (status < 200) return state.calls.ring(call);
  call.invite = undefined;
  noteDialog(state, call, callee, branch.fork.server.request, response, branch.hop.recordRoute);
  call.gone.delete(callee);
  state.calls.answer(call, callee, now);
  // RFC 3261 §12.1.1: who answers copies every Record-Route, and the caller knows no other way.
  if (call.dialogs.get(callee)?.isRouteless === true) state.calls.trouble(call, "no-route", now, callee.name);
  if (call.caller.leg !== undefined && callee.leg !== undefined) {
    state.relay.confirm(call.caller.leg, callee.leg, now);
  }
}

function noteDialogAnswer(
  state: EdgeState,
  { dialog, method }: Extract<ForkOwner, { kind: "dialog" }>,
  request: SipRequest,
  response: SipResponse,
  now: Instant,
): void {
  const { call, from, to } = dialog;
  const { status } = response;
  if (call === undefined || status < 200) return;
  if (status < 300) noteTargets(dialog, request, response);
  if (dialog.makesKnown === true && isUnanswered(call))
    noteResumed(state, call, method, dialog.token.from === "caller" ? to : from, now);
  if (method === "INVITE") state.calls.expectAck(call, from, now);
}

/** Known again, and what was asked in it has not been answered yet. */
function isUnanswered({ resumedAt, state }: Call): boolean {
  return resumedAt !== undefined && state === "calling";
}

function noteResumed(state: EdgeState, call: Call, method: string, callee: CallSide, now: Instant): void {
  state.calls.answer(call, callee, now);
  // RFC 3311 §5: an UPDATE has no ACK.
  if (method !== "INVITE") state.calls.acknowledge(call);
  if (call.caller.leg !== undefined && callee.leg !== undefined) state.relay.confirm(call.caller.leg, callee.leg, now);
}

/** Nothing could be sent to who was asked, or it has not said a word. */
export function handleUnreachable(state: EdgeState, branch: Branch, now: Instant): void {
  const owner = ownerOf(branch.fork);
  if (owner.kind === "call") {
    // A phone that is gone is no trouble of a call that another one has answered.
    if (owner.call.answeredBy !== undefined) return;
    state.calls.trouble(owner.call, "unreachable", now, (branch.hop as Destination).name);
  } else if (owner.kind === "dialog" && owner.dialog.call !== undefined) {
    state.calls.trouble(owner.dialog.call, "unreachable", now, owner.dialog.to.name);
  }
}

/** A phone that did not answer, or was not quick enough: what it held is free. */
export function handleBranchOver(state: EdgeState, branch: Branch): void {
  const owner = ownerOf(branch.fork);
  if (owner.kind !== "call") return;
  const callee = owner.call.branches.get(branch);
  if (callee === undefined) return;
  owner.call.gone.add(callee);
  if (callee.leg === undefined) return;
  state.relay.closeLeg(callee.leg);
  callee.leg = undefined;
  state.calls.freeUnwanted(owner.call);
}

export function handleForkOver(state: EdgeState, fork: Fork, now: Instant): void {
  const owner = ownerOf(fork);
  if (owner.kind === "call") {
    const { call } = owner;
    call.invite = undefined;
    if (call.answeredBy === undefined) state.calls.end(call, endOf(fork), now);
  } else if (owner.kind === "dialog") handleDialogOver(state, fork, owner, now);
  if (!mayOffer(owner)) fork.letGo();
}

/** Whether a 2xx that comes again brings an offer, which is written for who has sent the request. */
function mayOffer(owner: ForkOwner): boolean {
  const call = owner.kind === "call" ? owner.call : owner.kind === "dialog" ? owner.dialog.call : undefined;
  return call?.lateOffers.isEmpty === false;
}

function endOf({ best, isCancelled }: Fork): string {
  if (isCancelled || best === undefined) return "cancelled by caller";
  return `refused: ${best.status} ${best.reason}`;
}

function handleDialogOver(
  state: EdgeState,
  fork: Fork,
  { dialog, method, hasOffer, cameAt }: Extract<ForkOwner, { kind: "dialog" }>,
  now: Instant,
): void {
  const { call, from, to, token } = dialog;
  if (call === undefined) return;
  // Whatever the other side says to it, and when, who has hung up is gone (RFC 3261 §15.1.1).
  if (method === "BYE") {
    state.calls.hangUp(call, token.from === "caller" ? to : from, `hung up by ${token.from}`, cameAt, now);
  } else if (fork.best === undefined) return;
  else if (dialog.makesKnown === true && isUnanswered(call)) state.calls.forget(call);
  else if (hasOffer && from.leg !== undefined && to.leg !== undefined) {
    state.relay.withdrawOffer(from.leg, to.leg);
  }
}

/** An ACK for a 2xx: forwarded along its dialog, and never answered. Others are nobody's. */
export function handleAck(state: EdgeState, request: SipRequest, flow: SipFlow, now: Instant): void {
  const own = state.dialogs.takeRoute(request);
  const hasComeTooFar = request.maxForwards === 0 || request.maxForwards === MALFORMED;
  const routeless = own?.kind === "plain" ? routelessOf(state, request) : undefined;
  const dialog = own?.kind === "dialog" ? contextOf(state, request, own.token) : routeless;
  // It cannot be challenged: what moves media, or shows no token, has to come from where its sender is.
  const isProven = dialog?.isRouteless !== true && !hasSession(request);
  if (dialog === undefined || hasComeTooFar || !(isProven || isFromItsSide(state, dialog, flow, request))) {
    state.stats.refused.stranger++;
    return;
  }
  forwardAck(state, request, dialog, now);
}

function forwardAck(state: EdgeState, request: SipRequest, dialog: DialogContext, now: Instant): void {
  const { call, from, to } = dialog;
  noteRouteless(state, dialog, now);
  hideFromOthers(state, request, from.trunk !== undefined);
  if (call !== undefined) state.calls.acknowledge(call);
  const flow = reach(state, dialog, request);
  if (call !== undefined && to.trunk === undefined && !isOpen(state, flow)) {
    state.calls.trouble(call, "unreachable", now, to.name);
  }
  const way = wayWithin(state, dialog, flow);
  if (call === undefined || !call.has(from) || !call.has(to) || !hasSession(request)) {
    return sendAck(state, request, way, to.trunk !== undefined);
  }
  // RFC 3261 §13.2.1: an ACK's description answers the offer of a 2xx.
  call.lateOffers.takeAnswer((dialog.token.from === "caller" ? request.toTag : request.fromTag) ?? "", to);
  const onward = { kind: "ack", message: request, to: way } as const;
  pass(state, { call, from, to, role: "answer", onward }, now);
}

function sendAck(state: EdgeState, request: SipRequest, to: SipFlow | SipTarget, isTrunks: boolean): void {
  const hop = state.dialogs.hopTo(to, request, isTrunks);
  const message = forwarded(request, hop);
  const branch = `${BRANCH_COOKIE}${hexOf(state.ports.random.bytes(12))}`;
  message.prependVia(`SIP/2.0/${hop.to.transport.toUpperCase()} ${hop.sentBy};branch=${branch};rport`);
  state.outputs.push({ kind: "send", to: hop.to, text: message.format(), by: undefined });
}

/** What the relay says of a call's media. */
export function handleRelayEvent(state: EdgeState, event: RelayEvent, now: Instant): void {
  const call = state.calls.ofSession(event.session);
  if (call === undefined || event.type !== "timeout") return;
  if (event.why === "unseen") return state.calls.end(call, NOT_OBSERVED, now);
  state.calls.trouble(call, "no-media", now);
  state.calls.end(call, event.why === "silent" ? "no media came" : "never answered", now);
}
