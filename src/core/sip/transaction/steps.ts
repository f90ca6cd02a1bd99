/** How client transactions begin and send what they are about, and how all transactions end. */
import type { Instant } from "../../base/machine.ts";
import type { SipResponse } from "../message/message.ts";
import { AnsweredClient, type ClientTransaction } from "./client.ts";
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

/** It has its final response: for so many milliseconds what may come again is known. `ack`: of a refusal. */
export function settleClient(
  context: TransactionContext,
  transaction: ClientTransaction,
  ack: string | undefined,
  now: Instant,
  ms: number,
): void {
  stopTimers(context, transaction);
  const answered = new AnsweredClient(transaction, ack);
  context.clients.set(answered.key, answered);
  startTimer(context, answered, now, ms);
}

export function failClient(
  context: TransactionContext,
  transaction: ClientTransaction,
  why: "timeout" | "transport",
): void {
  transaction.state = "terminated";
  stopTimers(context, transaction);
  context.clients.delete(transaction.key);
  context.outputs.push({ kind: "failed", transaction, why });
}

export function endServer(context: TransactionContext, transaction: ServerTransaction): void {
  transaction.state = "terminated";
  stopTimers(context, transaction);
  forgetServer(context, transaction);
}

/** It has its final response, and here is one more, or the same again. */
export function handleResponseAgain(
  context: TransactionContext,
  answered: AnsweredClient,
  response: SipResponse,
): void {
  const { ack, to, isAccepted } = answered;
  if (response.status < 200) return;
  // RFC 6026 §7.2: every 2xx goes up, also those of other branches that come later.
  if (isAccepted && response.status < 300) context.outputs.push({ kind: "response", transaction: answered, response });
  else if (ack !== undefined && response.status >= 300)
    context.outputs.push({ kind: "send", to, text: ack, by: undefined });
}

function stopTimers({ deadlines }: TransactionContext, { repeat, end }: ClientTransaction | ServerTransaction): void {
  deadlines.clear(repeat);
  deadlines.clear(end);
}

export function forgetServer(context: TransactionContext, { key, holders }: ServerTransaction | AnsweredRequest): void {
  if (context.servers.delete(key)) for (const holder of holders) holder.transactions--;
}
