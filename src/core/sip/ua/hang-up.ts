/** The end of a call, from either side (RFC 3261 §15, §9). */
import type { Instant } from "../../base/machine.ts";
import type { Dialog } from "../dialog/dialog.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import { acknowledge } from "./acknowledge.ts";
import { RequestAttempt, send } from "./attempt.ts";
import type { UaCall } from "./call.ts";
import type { UaContext } from "./context.ts";

/** Ends the call by whatever fits how far it has come. `status` is for a call that we have not answered. */
export function hangUp(context: UaContext, call: UaCall, status: number, now: Instant): void {
  const { invite, dialog } = call;
  if (call.state === "ended" || call.isHangingUp) return;
  if (dialog === undefined) {
    call.isHangingUp = true;
    if (invite?.transaction !== undefined) context.transactions.cancel(invite.transaction, now);
  } else if (call.state === "calling" || call.state === "ringing") {
    refuseAsked(context, call, status, now);
    context.end(call, "ended");
  } else if (call.accepted !== undefined) {
    // RFC 3261 §15: not before the ACK is there, or is given up.
    call.isHangingUp = true;
  } else {
    if (call.acknowledging !== undefined) acknowledge(context, call, undefined);
    refuseAsked(context, call, 487, now);
    sendBye(context, call, now);
    context.end(call, "ended");
  }
}

export function refuseAsked(context: UaContext, call: UaCall, status: number, now: Instant): void {
  const { asked, dialog } = call;
  call.asked = undefined;
  if (asked !== undefined) context.respond(asked.transaction, status, now, { toTag: dialog?.localTag ?? "" });
}

export function sendBye(
  context: UaContext,
  call: UaCall,
  now: Instant,
  dialog: Dialog | undefined = call.dialog,
): void {
  if (dialog === undefined) return;
  const { local, hop } = call;
  const attempt = new RequestAttempt(call, dialog, "BYE", false);
  send(context.transactions, attempt, dialog.request("BYE"), { to: hop, sentBy: local.sentBy }, now);
}

/** RFC 3261 §15.1.2: what of it still waits for an answer gets 487. */
export function handleBye(context: UaContext, call: UaCall, transaction: ServerTransaction, now: Instant): void {
  // RFC 3261 §15: who has not answered cannot hang up.
  if (call.dialog === undefined) {
    context.respond(transaction, 481, now);
    return;
  }
  context.respond(transaction, 200, now);
  refuseAsked(context, call, 487, now);
  if (call.acknowledging !== undefined) acknowledge(context, call, undefined);
  context.end(call, "hung-up");
}
