/** The INVITE client transaction (RFC 3261 §17.1.1), with RFC 6026's state for an INVITE that was accepted. */
import type { Instant } from "../../base/machine.ts";
import type { SipResponse } from "../message/message.ts";
import { ClientTransaction } from "./client.ts";
import { startTimer, type TransactionContext } from "./context.ts";
import { acknowledge, cancelOf } from "./follow-ups.ts";
import { clientKey } from "./key.ts";
import { beginClient, endClient, failClient, sendRequest } from "./steps.ts";
import { LONGEST } from "./timers.ts";

export function handleInviteResponse(
  context: TransactionContext,
  transaction: ClientTransaction,
  response: SipResponse,
  now: Instant,
): void {
  if (response.status < 200) handleProvisional(context, transaction, response, now);
  else if (response.status < 300) handleSuccess(context, transaction, response, now);
  else handleFailure(context, transaction, response, now);
}

export function handleInviteTimer(
  context: TransactionContext,
  transaction: ClientTransaction,
  what: "repeat" | "end",
  now: Instant,
): void {
  if (what === "repeat") {
    transaction.interval *= 2;
    startTimer(context, transaction.repeat, now, transaction.interval);
    sendRequest(context, transaction);
  } else if (transaction.state === "calling" || transaction.state === "proceeding") {
    failClient(context, transaction, "timeout");
  } else endClient(context, transaction);
}

/** RFC 3261 §9.1: no CANCEL before a provisional response, and none after a final one. */
export function cancelInvite(context: TransactionContext, transaction: ClientTransaction, now: Instant): void {
  if (transaction.isCancelled || (transaction.state !== "calling" && transaction.state !== "proceeding")) return;
  transaction.isCancelled = true;
  if (transaction.state === "proceeding") sendCancel(context, transaction, now);
}

function sendCancel(context: TransactionContext, transaction: ClientTransaction, now: Instant): void {
  // RFC 3261 §9.1: an INVITE that was cancelled and is not answered for 64 × T1 is over.
  startTimer(context, transaction.end, now, LONGEST);
  const cancel = new ClientTransaction(
    clientKey(transaction.branch, "CANCEL"),
    transaction.branch,
    cancelOf(transaction),
    transaction.to,
    undefined,
  );
  context.clients.set(cancel.key, cancel);
  beginClient(context, cancel, now);
}

function handleProvisional(
  context: TransactionContext,
  transaction: ClientTransaction,
  response: SipResponse,
  now: Instant,
): void {
  if (transaction.state !== "calling" && transaction.state !== "proceeding") return;
  const isFirst = transaction.state === "calling";
  transaction.state = "proceeding";
  if (isFirst) {
    context.deadlines.clear(transaction.repeat);
    context.deadlines.clear(transaction.end);
    if (transaction.isCancelled) sendCancel(context, transaction, now);
  }
  context.outputs.push({ kind: "response", transaction, response });
}

// RFC 6026 §7.2: every 2xx goes up, also those of other branches that come later.
function handleSuccess(
  context: TransactionContext,
  transaction: ClientTransaction,
  response: SipResponse,
  now: Instant,
): void {
  if (transaction.state === "completed") return;
  if (transaction.state !== "accepted") {
    transaction.state = "accepted";
    context.deadlines.clear(transaction.repeat);
    startTimer(context, transaction.end, now, LONGEST);
  }
  context.outputs.push({ kind: "response", transaction, response });
}

function handleFailure(
  context: TransactionContext,
  transaction: ClientTransaction,
  response: SipResponse,
  now: Instant,
): void {
  if (transaction.state === "completed" && transaction.ack !== undefined) {
    context.outputs.push({ kind: "send", to: transaction.to, text: transaction.ack, by: transaction });
    return;
  }
  if (transaction.state !== "calling" && transaction.state !== "proceeding") return;
  transaction.state = "completed";
  context.deadlines.clear(transaction.repeat);
  // RFC 3261 §17.1.1.2: timer D is at least 32 s on UDP, and zero where nothing is repeated.
  startTimer(context, transaction.end, now, transaction.isReliable ? 0 : LONGEST);
  acknowledge(context, transaction, response);
  context.outputs.push({ kind: "response", transaction, response });
}
