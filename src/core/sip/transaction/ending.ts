/** How client transactions send what they are about, and how all end. */
import type { ClientTransaction } from "./client.ts";
import type { TransactionContext } from "./context.ts";
import type { ServerTransaction } from "./server.ts";

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
  context.servers.delete(transaction.key);
}
