/** The INVITE client transaction (RFC 3261 §17.1.1), with RFC 6026's state for an INVITE that was accepted. */
import type { Instant } from "../../base/machine.ts";
import type { SipResponse } from "../message/message.ts";
import { ClientTransaction } from "./client.ts";
import { startTimer, type TransactionContext } from "./context.ts";
import { ackOf, cancelOf } from "./follow-ups.ts";
import { clientKey } from "./key.ts";
import { beginClient, failClient, sendRequest, settleClient } from "./steps.ts";
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
  } else failClient(context, transaction, "timeout");
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
  const isFirst = transaction.state === "calling";
  transaction.state = "proceeding";
  if (isFirst) {
    context.deadlines.clear(transaction.repeat);
    context.deadlines.clear(transaction.end);
    if (transaction.isCancelled) sendCancel(context, transaction, now);
  }
  context.outputs.push({ kind: "response", transaction, response });
}

function handleSuccess(
  context: TransactionContext,
  transaction: ClientTransaction,
  response: SipResponse,
  now: Instant,
): void {
  transaction.state = "accepted";
  settleClient(context, transaction, undefined, now, LONGEST);
  context.outputs.push({ kind: "response", transaction, response });
}

function handleFailure(
  context: TransactionContext,
  transaction: ClientTransaction,
  response: SipResponse,
  now: Instant,
): void {
  const ack = ackOf(transaction, response).format();
  transaction.state = "completed";
  // RFC 3261 §17.1.1.2: timer D is at least 32 s on UDP, and zero where nothing is repeated.
  settleClient(context, transaction, ack, now, transaction.isReliable ? 0 : LONGEST);
  context.outputs.push({ kind: "send", to: transaction.to, text: ack, by: undefined });
  context.outputs.push({ kind: "response", transaction, response });
}
