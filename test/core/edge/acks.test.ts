/** ACKs: which are forwarded, which end here, and what is said of those that never come. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SipRequest, SipResponse } from "../../../src/core/sip/message/message.ts";
import { at, EDGE, Phone, sdpOf, World } from "./world.ts";

function phones(world: World): readonly [Phone, Phone] {
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  return [alice, bob];
}

/** An ACK for the answer, as a phone makes it that keeps the INVITE's Via. */
function ackWithBranchOf(phone: Phone, invite: SipRequest, answer: SipResponse, body = ""): SipRequest {
  const ack = phone.within(answer, "ACK", { body });
  ack.removeTopVia();
  ack.prependVia(invite.headers.values("via")[0] ?? "");
  return ack;
}

test("RFC 3261 §17.2.1: the ACK of a refusal ends here", () => {
  const [alice, bob] = phones(new World());
  alice.ask(alice.invitation("bob"));
  bob.answer(486);
  const before = bob.requests.length;
  alice.acknowledgeRefusal(alice.lastInvite());
  assert.deepEqual(
    bob.requests.slice(before).map(({ method }) => method),
    [],
    "bob has got his own from us",
  );
});

test("an ACK of a 2xx with the branch of its INVITE reaches who has answered, by the flow, each time that it comes", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const ack = ackWithBranchOf(alice, alice.lastInvite(), alice.response);
  for (const count of [1, 2]) {
    alice.send(ack);
    const got = bob.requests.filter(({ method }) => method === "ACK");
    assert.equal(got.length, count);
    assert.equal(got[0]?.uriText, bob.contact);
    assert.equal(got[0]?.header("route"), undefined);
  }
  world.pass(33_000);
  assert.deepEqual(world.told("trouble"), []);
});

test("such an ACK with an answer to the offer in a 2xx counts for where it comes from, not for where answers go", () => {
  const world = new World();
  const [, bob] = phones(world);
  // Not behind a NAT, and it sends from another port than it names: RFC 3261 §18.2.2.
  const alice = new Phone(world, "alice", { outside: "198.51.100.8", inside: "198.51.100.8" });
  const answers = { ...alice.flow, remote: at("198.51.100.8", 5060) };
  const ear = new Phone(world, "alice", { outside: "198.51.100.8", inside: "198.51.100.8", port: 5060 });
  assert.deepEqual(ear.flow, answers);
  const sendBare = (request: SipRequest): void => world.deliver(request.format().replace(";rport", ""), alice.flow);
  const invite = alice.invitation("bob", "late", "");
  sendBare(invite);
  assert.equal(ear.response.status, 407);
  const again = alice.invitation("bob", "late", "");
  alice.responses.push(ear.response);
  again.headers.set("Proxy-Authorization", alice.authorize(again));
  sendBare(again);
  bob.answer(200);
  const answer = ear.response;
  assert.equal(answer.status, 200);
  sendBare(ackWithBranchOf(alice, again, answer, alice.sdp()));
  bob.speak(sdpOf(bob.request("ACK")));
  assert.equal(sdpOf(bob.request("ACK")).format().includes(`c=IN IP4 ${EDGE}`), true);
});

test("an ACK that comes after its INVITE is forgotten is forwarded by its token", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const ack = ackWithBranchOf(alice, alice.lastInvite(), alice.response);
  world.pass(33_000);
  alice.send(ack);
  assert.ok(bob.request("ACK"));
});
