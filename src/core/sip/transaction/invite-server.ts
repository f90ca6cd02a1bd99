/** The INVITE server transaction (RFC 3261 §17.2.1), with RFC 6026's state for an INVITE that was accepted. */
import type { Instant } from "../../base/machine.ts";
import type { SipFlow } from "../flow.ts";
import type { SipRequest } from "../message/message.ts";
import { startTimer, type TransactionContext } from "./context.ts";
import type { ServerTransaction } from "./server.ts";
import { endServer } from "./steps.ts";
import { LONGEST, T1, T2, T4 } from "./timers.ts";

/** A response of the user's; false when it comes too late to be sent. */
export function respondToInvite(
  context: TransactionContext,
  transaction: ServerTransaction,
  status: number,
  text: string,
  now: Instant,
): boolean {
  const { state } = transaction;
  // RFC 6026 §7.1: once accepted only 2xx follow, those of other branches of a fork too.
  const fits = state === "proceeding" || (state === "accepted" && status >= 200 && status < 300);
  if (!fits) return false;
  context.outputs.push({ kind: "send", to: transaction.from, text, by: undefined });
  // RFC 6026 §7.1: it is not for the transaction to repeat a 2xx.
  transaction.response = status >= 200 && status < 300 ? undefined : text;
  if (status >= 300) complete(context, transaction, now);
  else if (status >= 200 && state === "proceeding") {
    transaction.state = "accepted";
    startTimer(context, transaction.end, now, LONGEST);
  }
  return true;
}

/** The same INVITE again. */
export function handleInviteAgain(context: TransactionContext, transaction: ServerTransaction): void {
  const { state } = transaction;
  // RFC 6026 §7.1: an accepted INVITE's repetitions are absorbed; its user repeats the 2xx.
  if (state === "proceeding" || state === "completed") sendResponse(context, transaction);
}

/** `from`: where the ACK came from, which need not be where answers go. */
export function handleAck(
  context: TransactionContext,
  transaction: ServerTransaction,
  request: SipRequest,
  from: SipFlow,
  now: Instant,
): void {
  if (transaction.state === "completed") {
    transaction.state = "confirmed";
    transaction.response = undefined;
    context.deadlines.clear(transaction.repeat);
    startTimer(context, transaction.end, now, transaction.isReliable ? 0 : T4);
  } else if (transaction.state === "accepted") {
    // RFC 3261 §13.2.2.4: the ACK of a 2xx has a branch of its own. Some phones keep the INVITE's; it is one nevertheless.
    context.outputs.push({ kind: "ack", request, from });
  }
}

export function handleInviteServerTimer(
  context: TransactionContext,
  transaction: ServerTransaction,
  what: "repeat" | "end",
  now: Instant,
): void {
  if (what === "repeat") {
    transaction.interval = Math.min(transaction.interval * 2, T2);
    startTimer(context, transaction.repeat, now, transaction.interval);
    sendResponse(context, transaction);
    return;
  }
  const isUnheard = transaction.state === "completed";
  endServer(context, transaction);
  if (isUnheard) context.outputs.push({ kind: "unacknowledged", transaction });
}

function complete(context: TransactionContext, transaction: ServerTransaction, now: Instant): void {
  transaction.state = "completed";
  transaction.interval = T1;
  if (!transaction.isReliable) startTimer(context, transaction.repeat, now, T1);
  startTimer(context, transaction.end, now, LONGEST);
}

function sendResponse(context: TransactionContext, transaction: ServerTransaction): void {
  const { from, response } = transaction;
  if (response !== undefined) context.outputs.push({ kind: "send", to: from, text: response, by: undefined });
}
