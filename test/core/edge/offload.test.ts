/**
 * Media that is forwarded without us is taken back before anybody is told of what ends it: of a hold, of a phone that is
 * elsewhere now, of the end of the call, or of its user.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipResponse } from "../../../src/core/sip/message/message.ts";
import { Phone, RELAY, sdpOf, World } from "./world.ts";

interface Talk {
  readonly world: World;
  readonly alice: Phone;
  readonly bob: Phone;
  readonly answer: SipResponse;
}

/** Both are heard, and what they say is forwarded by somebody else. */
function talk(): Talk {
  const world = new World({ relay: { ...RELAY, settledAfter: 2 } });
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  for (let i = 0; i < 2; i++) {
    alice.speak(sdpOf(answer));
    bob.speak(sdpOf(bob.request("INVITE")));
  }
  assert.deepEqual(world.performed.slice(-2), ["offload", "offload"]);
  world.performed.length = 0;
  return { world, alice, bob, answer };
}

/** Both flows are taken back, and then somebody is told. */
function assertTakenBackFirst({ performed }: World): void {
  const kinds = performed.filter((kind) => kind === "withdraw" || kind === "send");
  assert.deepEqual(kinds.slice(0, 3), ["withdraw", "withdraw", "send"]);
}

test("a hold: nothing is taken back by its offer, and everything before its answer goes on", () => {
  const { world, alice, bob, answer } = talk();
  alice.send(alice.within(answer, "INVITE", { body: alice.sdp(["a=sendonly"]) }));
  assert.ok(!world.performed.includes("withdraw"), "an offer changes nothing");
  world.performed.length = 0;
  bob.answer(200, { body: bob.sdp(["a=recvonly"]) });
  assertTakenBackFirst(world);
});

test("the end of the call, whoever hangs up", () => {
  for (const who of ["alice", "bob"] as const) {
    const { world, alice, bob, answer } = talk();
    const [one, other] = who === "alice" ? [alice, bob] : [bob, alice];
    one.send(one.within(who === "alice" ? answer : bob.request("INVITE"), "BYE"));
    world.performed.length = 0;
    other.send(createResponse(other.request("BYE"), 200));
    assert.equal(one.response.status, 200);
    assertTakenBackFirst(world);
  }
});

test("a phone whose signaling comes from elsewhere", () => {
  const { world, alice } = talk();
  alice.move("198.51.100.99", 41_000);
  alice.register();
  assert.equal(world.performed.filter((kind) => kind === "withdraw").length, 2);
});

test("a user who is removed", () => {
  const { world } = talk();
  world.edge.handleUserRemoved("alice", world.now);
  world.settle();
  assertTakenBackFirst(world);
});
