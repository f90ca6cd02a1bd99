/** Speech both ways at once over a way of the test's own: whose packets are sent back, and which are not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Speech } from "../../src/cli/check/peer/speech.ts";

function pair() {
  const sent: Record<"one" | "other", Uint8Array[]> = { one: [], other: [] };
  const one = new Speech({ own: "one's", peer: "other's", send: (data) => sent.one.push(data) });
  const other = new Speech({ own: "other's", peer: "one's", send: (data) => sent.other.push(data) });
  return { sent, one, other };
}

test("the other end's packets are sent back once, however often they come; our own are back", () => {
  const { sent, one, other } = pair();
  const back: number[] = [];
  one.onBack = (sequence) => back.push(sequence);
  for (const sequence of [0, 1, 2]) one.send(sequence);
  for (const i of [0, 1, 1, 2, 1]) assert.equal(other.handleData(sent.one[i]!), true);
  assert.equal(sent.other.length, 3);
  for (const data of sent.other) assert.equal(one.handleData(data), true);
  assert.deepEqual(back, [0, 1, 2]);
  assert.equal(sent.one.length, 3, "what is back is not sent again");
  assert.equal(other.take().packets, 3);
});

test("what is nobody's is not sent back", () => {
  const { sent, other } = pair();
  const stranger = new Speech({ own: "stranger's", peer: "x", send: (data) => sent.one.push(data) });
  stranger.send(0);
  assert.equal(other.handleData(sent.one[0]!), false);
  assert.equal(other.handleData(new Uint8Array(172)), false);
  assert.equal(sent.other.length, 0);
});
