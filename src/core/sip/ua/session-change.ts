/** Offers within a call, of either side: INVITE and UPDATE (RFC 3261 §14, RFC 3311), and what happens when they meet. */
import type { Instant } from "../../base/machine.ts";
import { randomBelow } from "../../base/random.ts";
import { createResponse } from "../message/build.ts";
import type { SipResponse } from "../message/message.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import { repeatAck, sendAck } from "./acknowledge.ts";
import { answeringChallenge, RequestAttempt, send } from "./attempt.ts";
import type { UaCall } from "./call.ts";
import { descriptionIn, sessionHeaders, type UaContext } from "./context.ts";
import { sendBye } from "./hang-up.ts";
import { respondLater } from "./invite-server.ts";

/** False where another offer is under way, or the call is not at a point where one may be made. */
export function offerWithin(
  context: UaContext,
  call: UaCall,
  method: "INVITE" | "UPDATE",
  description: string | undefined,
  now: Instant,
): boolean {
  const { dialog, hop, local } = call;
  // RFC 3261 §14.1: not while an INVITE is in progress in either direction.
  if (dialog === undefined || call.state !== "confirmed" || isOccupied(call) || call.isHangingUp) return false;
  const request = dialog.request(method, sessionHeaders(call, description), description);
  call.offering = new RequestAttempt(call, dialog, method, description !== undefined);
  context.deadlines.clear(call.again);
  send(context.transactions, call.offering, request, { to: hop, sentBy: local.sentBy }, now);
  return true;
}

function isOccupied({ asked, offering, accepted, acknowledging }: UaCall): boolean {
  return (asked ?? offering ?? accepted ?? acknowledging) !== undefined;
}

export function handleUpdate(context: UaContext, call: UaCall, transaction: ServerTransaction, now: Instant): void {
  const offer = descriptionIn(transaction.request);
  if (offer === undefined) return acceptUpdate(context, call, transaction, undefined, now);
  // RFC 3311 §5.2: an offer of ours has no answer yet, or one of theirs has none.
  const isOffering = call.offering !== undefined || call.accepted?.isOffer === true;
  if (isOffering || (call.role === "caller" && call.dialog === undefined)) {
    context.respond(transaction, 491, now);
  } else if (call.asked !== undefined || call.acknowledging !== undefined) respondLater(context, transaction, now);
  else {
    call.asked = { transaction, hasOffer: true };
    transaction.owner = call;
    context.outputs.push({ kind: "offered", call, offer });
  }
}

export function acceptUpdate(
  context: UaContext,
  call: UaCall,
  transaction: ServerTransaction,
  description: string | undefined,
  now: Instant,
): void {
  const { request } = transaction;
  call.dialog?.refreshTarget(request);
  const headers = sessionHeaders(call, description);
  context.transactions.respond(transaction, createResponse(request, 200, { headers, body: description ?? "" }), now);
}

export function handleRequestResponse(
  context: UaContext,
  attempt: RequestAttempt,
  response: SipResponse,
  now: Instant,
): void {
  const { call, method } = attempt;
  const { status } = response;
  if (status < 200) return;
  if (status < 300) {
    if (attempt.isAccepted) repeatAck(context, call, attempt.ack);
    else if (method !== "BYE") handleAccepted(context, attempt, response, now);
    return;
  }
  const again = mayAnswer(attempt)
    ? answeringChallenge(context.ports, attempt, response, call.local, attempt.dialog.nextCSeq())
    : undefined;
  if (again !== undefined) {
    send(context.transactions, attempt, again, { to: call.hop, sentBy: call.local.sentBy }, now);
  } else if (method !== "BYE") handleDeclined(context, attempt, status, now);
}

export function handleRequestFailed(context: UaContext, attempt: RequestAttempt, now: Instant): void {
  if (attempt.method !== "BYE") loseCall(context, attempt, now);
}

/**
 * Whoever calls us could challenge what we send him, and guess at the password with what we answer. So within a dialog
 * only calls that we have placed are believed, where the same account was asked for its password at their beginning.
 */
function mayAnswer({ call }: RequestAttempt): boolean {
  return call.role === "caller" && call.invite?.challenge !== undefined;
}

function handleAccepted(context: UaContext, attempt: RequestAttempt, response: SipResponse, now: Instant): void {
  const { call, dialog, method, hasOffer } = attempt;
  const description = descriptionIn(response);
  const isOver = call.state === "ended";
  attempt.isAccepted = true;
  dialog.refreshTarget(response);
  if (!isOver) call.offering = undefined;
  if (method === "INVITE" && !hasOffer && description !== undefined && !isOver) {
    call.acknowledging = { attempt };
    context.outputs.push({ kind: "offered", call, offer: description });
    return;
  }
  if (method === "INVITE") attempt.ack = sendAck(context, call, dialog, attempt.request, undefined);
  if (isOver) return;
  if (description !== undefined) context.outputs.push({ kind: "agreed", call, answer: description });
  else if (hasOffer || method === "INVITE") {
    sendBye(context, call, now);
    context.end(call, "no-answer");
  }
}

function handleDeclined(context: UaContext, attempt: RequestAttempt, status: number, now: Instant): void {
  const { call } = attempt;
  if (call.state === "ended") return;
  // RFC 3261 §12.2.1.2, §14.1: the other side knows nothing of the call, or cannot be reached.
  if (status === 481 || status === 408) return loseCall(context, attempt, now);
  call.offering = undefined;
  if (status === 491) context.start(call.again, now, glareDelay(context, call));
  else context.outputs.push({ kind: "declined", call, status });
}

// RFC 3261 §14.1: who owns the Call-ID waits 2.1 to 4 s, the other up to 2 s, in steps of 10 ms.
function glareDelay({ ports }: UaContext, { role }: UaCall): number {
  return role === "caller" ? 2_100 + randomBelow(ports.random, 191) * 10 : randomBelow(ports.random, 201) * 10;
}

function loseCall(context: UaContext, { call }: RequestAttempt, now: Instant): void {
  if (call.state === "ended") return;
  sendBye(context, call, now);
  context.end(call, "lost");
}
