import assert from "node:assert/strict";
import { test } from "node:test";
import { Deadlines } from "../../../src/core/base/deadlines.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import {
  type ClientTransaction,
  ClientTransactions,
  STREAM_TIMING,
  type TransactionTiming,
  UDP_TIMING,
} from "../../../src/core/stun/client-transaction.ts";
import { MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { StunView } from "../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";

function message(id: number, messageClass: MessageClass = MessageClass.Request): Uint8Array {
  return new StunWriter().begin(Method.Binding, messageClass, messageId(new Uint8Array(12).fill(id))).finish();
}

function response(id: number): StunView {
  const view = new StunView();
  assert.equal(view.decode(message(id, MessageClass.Success)), undefined);
  return view;
}

const at = (ms: number): Instant => ms as Instant;

function start() {
  const deadlines = new Deadlines<ClientTransaction<string>>();
  return { deadlines, transactions: new ClientTransactions<string>(deadlines) };
}

/** When a request that nobody answers is sent, and when it is given up, in milliseconds. */
function unanswered(timing: TransactionTiming): { sent: number[]; over: number } {
  const { deadlines, transactions } = start();
  transactions.start(message(1), "ask", timing, at(1000));
  const sent = [0];
  for (;;) {
    const now = deadlines.next as Instant;
    const due = deadlines.popDue(now) as ClientTransaction<string>;
    if (transactions.handleDue(due, now) === "timed-out") {
      assert.equal(deadlines.next, undefined);
      assert.deepEqual([...transactions.open], []);
      return { sent, over: now - 1000 };
    }
    sent.push(now - 1000);
  }
}

test("RFC 8489 §6.2.1: over UDP a request is sent at 0, 500, 1500, … 31500 ms and given up at 39500 ms", () => {
  assert.deepEqual(unanswered(UDP_TIMING), { sent: [0, 500, 1500, 3500, 7500, 15500, 31500], over: 39500 });
});

test("RFC 8489 §6.2.2: over a stream it is sent once, and given up after the same 39.5 s", () => {
  assert.deepEqual(unanswered(STREAM_TIMING), { sent: [0], over: 39500 });
});

test("several run at once; an answer is matched by transaction ID, ends what it answers, and nothing twice", () => {
  const { deadlines, transactions } = start();
  const [one, two] = ["one", "two"].map((purpose, i) => {
    return transactions.start(message(i + 1), purpose, UDP_TIMING, at(i));
  }) as [ClientTransaction<string>, ClientTransaction<string>];
  assert.equal(transactions.find(response(2)), two);
  assert.equal(transactions.find(response(1)), one);
  assert.equal(transactions.find(response(3)), undefined);
  transactions.end(two);
  assert.equal(transactions.find(response(2)), undefined);
  assert.equal(deadlines.size, 1);
  assert.equal(transactions.find(response(1))?.purpose, "one");
});
