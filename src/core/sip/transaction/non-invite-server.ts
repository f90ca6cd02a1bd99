/** The server transaction of every other request (RFC 3261 §17.2.2). */
import type { Instant } from "../../base/machine.ts";
import { startTimer, type TransactionContext } from "./context.ts";
import { AnsweredRequest, type ServerTransaction } from "./server.ts";
import { LONGEST } from "./timers.ts";

/** A response of the user's; false when it is not to be sent. */
export function respondToNonInvite(
  context: TransactionContext,
  transaction: ServerTransaction,
  status: number,
  text: string,
  now: Instant,
): boolean {
  if (transaction.state !== "trying" && transaction.state !== "proceeding") return false;
  // RFC 4320 §4.1: no provisional response but 100.
  if (status > 100 && status < 200) return false;
  // RFC 4320 §4.2: a 408 comes too late to be of use, and keeps others from trying elsewhere. Whoever still repeats the
  // request goes on hearing nothing.
  if (status === 408) {
    complete(context, transaction, undefined, now);
    return false;
  }
  if (status < 200) {
    transaction.state = "proceeding";
    transaction.response = text;
    handleNonInviteAgain(context, transaction);
  } else complete(context, transaction, text, now);
  return true;
}

/** RFC 3261 §17.2.2: until timer J, the only one, fires. */
function complete(
  context: TransactionContext,
  transaction: ServerTransaction,
  text: string | undefined,
  now: Instant,
): void {
  transaction.state = "completed";
  const answered = new AnsweredRequest(transaction, text);
  context.servers.set(transaction.key, answered);
  startTimer(context, answered, now, transaction.isReliable ? 0 : LONGEST);
  handleNonInviteAgain(context, answered);
}

/** The same request again gets the last answer, if there is one. */
export function handleNonInviteAgain(
  context: TransactionContext,
  { from, response }: ServerTransaction | AnsweredRequest,
): void {
  if (response !== undefined) context.outputs.push({ kind: "send", to: from, text: response, by: undefined });
}
