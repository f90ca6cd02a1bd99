/** Calls with more than one answer, or with none of what a call has. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipResponse } from "../../../src/core/sip/message/message.ts";
import { Phone, sdpOf, World } from "./world.ts";

interface Both {
  readonly world: World;
  readonly alice: Phone;
  readonly phones: readonly [Phone, Phone];
  /** What each has answered, as the caller got it. */
  readonly answers: readonly [SipResponse, SipResponse];
}

/** Two phones of one user that answer at the same time, each before it hears of the other. */
function bothAnswer(): Both {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const first = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  const second = new Phone(world, "bob", { outside: "192.0.2.77", inside: "192.168.9.5" });
  for (const phone of [alice, first, second]) assert.equal(phone.register().status, 200);
  alice.ask(alice.invitation("bob"));
  first.answer(180);
  second.answer(180);
  first.answer(200);
  second.answer(200);
  const [a, b] = alice.responses.filter(({ status }) => status === 200).slice(-2);
  assert.ok(a !== undefined && b !== undefined && a.toTag !== b.toTag);
  for (const answer of [a, b]) alice.send(alice.within(answer, "ACK"));
  return { world, alice, phones: [first, second], answers: [a, b] };
}

suite("RFC 3261 §13.2.2.4: when two phones have answered, and both dialogs exist", () => {
  test("the caller hangs up the second, and talks to the first", () => {
    const { world, alice, phones, answers } = bothAnswer();
    const [first, second] = phones;
    alice.send(alice.within(answers[1], "BYE"));
    second.send(createResponse(second.request("BYE"), 200));
    assert.ok(first.requests.every(({ method }) => method !== "BYE"));
    assert.equal(world.edge.calls().length, 1);
    first.speak(sdpOf(first.request("INVITE")));
    assert.ok(alice.speak(sdpOf(answers[0])));
    assert.equal(world.ports.size, 4);
  });

  test("or the first, and keeps the second; and when that hangs up, it is over", () => {
    const { world, alice, phones, answers } = bothAnswer();
    const [first, second] = phones;
    alice.send(alice.within(answers[0], "BYE"));
    first.send(createResponse(first.request("BYE"), 200));
    const [call] = world.edge.calls();
    assert.equal(call?.callee?.flow.remote, second.flow.remote);
    second.send(second.within(second.request("INVITE"), "BYE"));
    alice.send(createResponse(alice.request("BYE"), 200));
    assert.equal(world.edge.calls().length, 0);
    assert.equal(world.ports.size, 0);
  });
});

test("a phone of the user that is gone is no trouble of the call that another one answers", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const gone = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.77", inside: "192.168.9.5" });
  for (const phone of [alice, gone, bob]) assert.equal(phone.register().status, 200);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  alice.send(alice.within(alice.response, "ACK"));
  assert.ok(gone.request("INVITE"));
  world.pass(40_000);
  assert.deepEqual(
    world.edge.calls().map(({ state, troubles }) => [state, troubles]),
    [["acknowledged", []]],
  );
});

test("a phone that begins one dialog after the other while it rings fills nothing", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) phone.register();
  alice.ask(alice.invitation("bob"));
  for (let i = 0; i < 1000; i++) bob.answer(180, { tag: `dialog-${i}` });
  assert.ok(alice.responses.filter(({ status }) => status === 180).length <= 64);
  bob.answer(200, { tag: "dialog-0" });
  assert.equal(alice.response.status, 200);
});

test("a call without media is not kept for ever, and goes on without us", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) phone.register([["Expires", "600"]]);
  alice.ask(alice.invitation("bob", "bare", ""));
  bob.answer(200, { body: "" });
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  world.pass(300_000);
  assert.equal(world.edge.calls().length, 1);
  world.pass(301_000);
  assert.equal(world.edge.calls().length, 0);
  alice.send(alice.within(answer, "BYE"));
  assert.ok(bob.request("BYE"));
});

test("RFC 3261 §8.2.6.2: what we answer for a phone that cannot has a tag in To", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) phone.register();
  alice.ask(alice.invitation("bob"));
  world.pass(33_000);
  assert.equal(alice.response.status, 408);
  assert.ok(alice.response.toTag);
  alice.ask(alice.invitation("bob"));
  bob.send(createResponse(bob.request("INVITE"), 503, { toTag: "b" }));
  assert.equal(alice.response.status, 500);
  assert.ok(alice.response.toTag);
});
