/** The services with real sockets: what is said to `echo` comes back, and `milliwatt` keeps time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaOf } from "../../support/sip-phone.ts";
import { until } from "../../support/until.ts";
import { SipHostUnderTest } from "./host-under-test.ts";

test("echo answers a phone and sends back its voice", async () => {
  await using edge = await SipHostUnderTest.open();
  await using alice = await edge.phone("alice", 2);
  const answer = await alice.ask(alice.invitation("echo"));
  assert.equal(answer.status, 200, answer.format());
  alice.send(alice.within(answer, "ACK"));
  for (let sequence = 1; sequence <= 6; sequence++) alice.speak(answer.body, sequence);
  await until("the echo", () => alice.heard.length >= 4);
  assert.ok(alice.heard.every(({ data, from }) => from === mediaOf(answer.body).port && data.length === 172));
  assert.deepEqual(
    alice.heard.slice(0, 2).map(({ data }) => data.readUInt16BE(2)),
    [1, 2],
    "at once, for it comes from where the phone has said",
  );
  assert.equal((await alice.ask(alice.within(answer, "BYE"))).status, 200);
  await until("the ports to be free", () => edge.host.stats.datapath.sockets === 0);
});

test("milliwatt sends its packets in their order, until the call ends", async () => {
  await using edge = await SipHostUnderTest.open();
  await using alice = await edge.phone("alice", 2);
  const answer = await alice.ask(alice.invitation("milliwatt"));
  alice.send(alice.within(answer, "ACK"));
  for (let sequence = 1; sequence <= 3; sequence++) alice.speak(answer.body, sequence);
  await until("half a second of tone", () => alice.heard.length >= 30);
  const packets = alice.heard.slice(0, 30).map(({ data }) => data);
  for (const [i, data] of packets.entries()) {
    const before = packets[i - 1];
    if (before !== undefined) assert.equal((data.readUInt16BE(2) - before.readUInt16BE(2)) & 0xffff, 1);
  }
  // 25 packets are half a second, and then the tone is where it began.
  assert.deepEqual(packets[0]?.subarray(12), packets[25]?.subarray(12));
  assert.notDeepEqual(packets[0]?.subarray(12), packets[1]?.subarray(12));
  assert.equal((await alice.ask(alice.within(answer, "BYE"))).status, 200);
  await until("the ports to be free", () => edge.host.stats.datapath.sockets === 0);
});
