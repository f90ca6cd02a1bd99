/** How client transactions begin and send what they are about, and how all transactions end. */
import type { Instant } from "../../base/machine.ts";
import type { ClientTransaction } from "./client.ts";
import { startTimer, type TransactionContext } from "./context.ts";
import type { AnsweredRequest, ServerTransaction } from "./server.ts";
import { LONGEST, T1 } from "./timers.ts";

export function beginClient(context: TransactionContext, transaction: ClientTransaction, now: Instant): void {
  // RFC 3261 §17.1.1.2 and §17.1.2.2: timers A and E are for unreliable transports alone, B and F for all.
  if (!transaction.isReliable) startTimer(context, transaction.repeat, now, T1);
  startTimer(context, transaction.end, now, LONGEST);
  sendRequest(context, transaction);
}

export function sendRequest(context: TransactionContext, transaction: ClientTransaction): void {
  context.outputs.push({ kind: "send", to: transaction.to, text: transaction.text, by: transaction });
}

export function endClient(context: TransactionContext, transaction: ClientTransaction): void {
  transaction.state = "terminated";
  context.deadlines.clear(transaction.repeat);
  context.deadlines.clear(transaction.end);
  context.clients.delete(transaction.key);
}

export function failClient(
  context: TransactionContext,
  transaction: ClientTransaction,
  why: "timeout" | "transport",
): void {
  endClient(context, transaction);
  context.outputs.push({ kind: "failed", transaction, why });
}

export function endServer(context: TransactionContext, transaction: ServerTransaction): void {
  transaction.state = "terminated";
  context.deadlines.clear(transaction.repeat);
  context.deadlines.clear(transaction.end);
  forgetServer(context, transaction);
}

export function forgetServer(context: TransactionContext, { key, holders }: ServerTransaction | AnsweredRequest): void {
  if (context.servers.delete(key)) for (const holder of holders) holder.transactions--;
}
