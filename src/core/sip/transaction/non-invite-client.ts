/** The client transaction of every other request (RFC 3261 §17.1.2). */
import type { Instant } from "../../base/machine.ts";
import type { SipResponse } from "../message/message.ts";
import type { ClientTransaction } from "./client.ts";
import { startTimer, type TransactionContext } from "./context.ts";
import { failClient, sendRequest, settleClient } from "./steps.ts";
import { T2, T4 } from "./timers.ts";

export function handleNonInviteResponse(
  context: TransactionContext,
  transaction: ClientTransaction,
  response: SipResponse,
  now: Instant,
): void {
  if (response.status < 200) transaction.state = "proceeding";
  else {
    transaction.state = "completed";
    settleClient(context, transaction, undefined, now, transaction.isReliable ? 0 : T4);
  }
  context.outputs.push({ kind: "response", transaction, response });
}

export function handleNonInviteTimer(
  context: TransactionContext,
  transaction: ClientTransaction,
  what: "repeat" | "end",
  now: Instant,
): void {
  if (what === "repeat") {
    transaction.interval = transaction.state === "proceeding" ? T2 : Math.min(transaction.interval * 2, T2);
    startTimer(context, transaction.repeat, now, transaction.interval);
    sendRequest(context, transaction);
  } else failClient(context, transaction, "timeout");
}
