/** INVITEs that come, those within a call too: rung, answered, refused, and their answers repeated until the ACK is there. */

import type { Instant } from "../../base/machine.ts";
import { randomBelow } from "../../base/random.ts";
import { type Dialog, dialogOfRequest } from "../dialog/dialog.ts";
import type { SipFlow, SipTarget } from "../flow.ts";
import { createResponse, type HeaderLine } from "../message/build.ts";
import { MALFORMED } from "../message/characters.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import { LONGEST, T1, T2 } from "../transaction/timers.ts";
import { type LocalParty, UaCall } from "./call.ts";
import { descriptionIn, sessionHeaders, type UaContext } from "./context.ts";
import { sendBye } from "./hang-up.ts";

/** RFC 3261 §13.3.1.1: every minute, so that no proxy takes the INVITE for dead. */
const PROVISIONAL_INTERVAL = 60_000;
/** RFC 3261 §14.2: of Retry-After, in seconds. */
const MAX_RETRY_AFTER = 10;

export function handleInvite(
  context: UaContext,
  transaction: ServerTransaction,
  local: LocalParty,
  hop: SipFlow | SipTarget,
  now: Instant,
): void {
  const { request } = transaction;
  const inviteKey = [request.callId, request.fromTag ?? "", request.cseq.number].join("\n");
  // RFC 3261 §8.2.2.2: the same INVITE by another way, where somebody has forked it.
  if (context.invites.has(inviteKey)) {
    context.respond(transaction, 482, now);
    return;
  }
  const dialog = dialogOfRequest(request, context.newTag());
  if (dialog === MALFORMED) {
    context.respond(transaction, 400, now, { reason: "Missing Contact" });
    return;
  }
  const call = new UaCall(context.nextCall(), "callee", local, hop);
  const offer = descriptionIn(request);
  call.dialog = dialog;
  call.inviteKey = inviteKey;
  call.asked = { transaction, hasOffer: offer !== undefined };
  transaction.owner = call;
  context.invites.add(inviteKey);
  context.calls.add(call);
  context.dialogs.set(dialog.key, call);
  context.outputs.push({ kind: "incoming", call, offer });
}

/** An INVITE within a call: another offer, or a wish for one. */
export function handleReinvite(context: UaContext, call: UaCall, transaction: ServerTransaction, now: Instant): void {
  // RFC 3261 §14.2: one that crosses ours. An answer of ours that is not acknowledged yet is under way, too.
  const isCrossing = call.offering !== undefined || call.acknowledging !== undefined || call.accepted !== undefined;
  if (isCrossing || (call.role === "caller" && call.dialog === undefined)) {
    context.respond(transaction, 491, now);
    return;
  }
  if (call.asked !== undefined) return respondLater(context, transaction, now);
  const offer = descriptionIn(transaction.request);
  call.asked = { transaction, hasOffer: offer !== undefined };
  transaction.owner = call;
  context.outputs.push({ kind: "offered", call, offer });
}

// RFC 3261 §14.2, RFC 3311 §5.2: a second one before the first is answered may come again.
export function respondLater(context: UaContext, transaction: ServerTransaction, now: Instant): void {
  const seconds = randomBelow(context.ports.random, MAX_RETRY_AFTER + 1);
  context.respond(transaction, 500, now, { headers: [["Retry-After", String(seconds)]] });
}

/** 180, or 183 with a description that is the answer before the call is answered. False where it is too late for that. */
export function ring(context: UaContext, call: UaCall, description: string | undefined, now: Instant): boolean {
  const { asked, dialog, state } = call;
  if (asked === undefined || dialog === undefined || (state !== "calling" && state !== "ringing")) return false;
  call.state = "ringing";
  const status = description === undefined ? 180 : 183;
  call.provisional = responseTo(asked.transaction.request, call, dialog, status, description);
  context.transactions.respond(asked.transaction, call.provisional, now);
  context.start(call.repeat, now, PROVISIONAL_INTERVAL);
  return true;
}

export function acceptInvite(context: UaContext, call: UaCall, description: string | undefined, now: Instant): void {
  const { asked, dialog } = call;
  if (asked === undefined || dialog === undefined) return;
  const { transaction, hasOffer } = asked;
  const { request } = transaction;
  const isFirst = call.state === "calling" || call.state === "ringing";
  if (isFirst) call.state = "answered";
  else dialog.refreshTarget(request);
  const response = responseTo(request, call, dialog, 200, description);
  call.asked = undefined;
  call.accepted = { transaction, response, cseq: request.cseq.number, isOffer: !hasOffer };
  call.interval = T1;
  context.transactions.respond(transaction, response, now);
  // RFC 3261 §13.3.1.4: over every transport, because the ACK may be lost behind the next hop.
  context.start(call.repeat, now, T1);
  context.start(call.unacknowledged, now, LONGEST);
}

export function handleRepeat(context: UaContext, call: UaCall, now: Instant): void {
  const { accepted, asked, provisional } = call;
  if (accepted !== undefined) {
    call.interval = Math.min(call.interval * 2, T2);
    context.start(call.repeat, now, call.interval);
    context.transactions.respond(accepted.transaction, accepted.response, now);
  } else if (asked !== undefined && provisional !== undefined) {
    context.start(call.repeat, now, PROVISIONAL_INTERVAL);
    context.transactions.respond(asked.transaction, provisional, now);
  }
}

// RFC 3261 §13.3.1.4, §14.2: the other side has not heard that it was answered, or cannot say so.
export function handleUnacknowledged(context: UaContext, call: UaCall, now: Instant): void {
  sendBye(context, call, now);
  context.end(call, call.isHangingUp ? "ended" : "unacknowledged");
}

/** False where it is no call's. */
export function handleAck(context: UaContext, call: UaCall, request: SipRequest, now: Instant): void {
  const { accepted } = call;
  if (accepted?.cseq !== request.cseq.number) return;
  call.accepted = undefined;
  context.deadlines.clear(call.repeat);
  context.deadlines.clear(call.unacknowledged);
  const isFirst = call.state === "answered";
  call.state = "confirmed";
  // RFC 3261 §15: who has answered hangs up only when the ACK is there.
  if (call.isHangingUp) {
    sendBye(context, call, now);
    context.end(call, "ended");
    return;
  }
  if (isFirst) context.outputs.push({ kind: "confirmed", call });
  if (!accepted.isOffer) return;
  const answer = descriptionIn(request);
  if (answer !== undefined) {
    context.outputs.push({ kind: "agreed", call, answer });
    return;
  }
  // RFC 3261 §13.2.2.4: the ACK brings the answer to an offer that the 2xx has brought.
  sendBye(context, call, now);
  context.end(call, "no-answer");
}

/** RFC 3261 §9.2: nothing happens to what was answered already. */
export function handleCancelled(context: UaContext, call: UaCall, invite: ServerTransaction, now: Instant): void {
  const { asked, dialog } = call;
  if (asked?.transaction !== invite || dialog === undefined) return;
  context.respond(invite, 487, now, { toTag: dialog.localTag });
  call.asked = undefined;
  if (call.state === "calling" || call.state === "ringing") context.end(call, "cancelled");
  else context.outputs.push({ kind: "withdrawn", call });
}

// RFC 3261 §12.1.1: what sets up a dialog gives its Record-Route back, and says where we are.
function responseTo(
  request: SipRequest,
  call: UaCall,
  dialog: Dialog,
  status: number,
  description: string | undefined,
): SipResponse {
  const recorded = request.headers.values("record-route").map((value): HeaderLine => ["Record-Route", value]);
  const headers = [...recorded, ...sessionHeaders(call, description)];
  return createResponse(request, status, { toTag: dialog.localTag, headers, body: description ?? "" });
}
