/** ACKs: which are forwarded, which end here, and what is said of those that never come. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createResponse } from "../../../src/core/sip/message/build.ts";
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

test("RFC 3261 §12.2.1.1: a phone that leaves out Record-Route, and sends everything to us, is understood, and named", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const answer = alice.response;
  const bare = (method: string): SipRequest => {
    const request = alice.within(answer, method);
    request.headers.remove("Route");
    return request;
  };
  alice.send(bare("ACK"));
  assert.equal(bob.request("ACK").uriText, bob.contact);
  assert.equal(world.edge.calls()[0]?.state, "acknowledged");
  assert.deepEqual(
    world.edge.calls()[0]?.troubles.map(({ what, name }) => [what, name]),
    [["no-route", "alice"]],
  );
  const before = bob.requests.length;
  alice.send(bare("BYE"));
  assert.equal(alice.response.status, 407, "what shows no token shows a password");
  assert.equal(bob.requests.length, before);
  alice.ask(bare("BYE"));
  bob.send(createResponse(bob.request("BYE"), 200));
  assert.equal(alice.response.status, 200);
  assert.equal(world.edge.calls().length, 0);
  assert.deepEqual(world.told("trouble"), ["no-route"]);
});

test("RFC 3261 §12.1.1: an answer without our Record-Route is the callee's fault, also when the caller's ACK has no Route", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(180, { isRouteless: true });
  const blamed = () => world.edge.calls()[0]?.troubles.map(({ what, name }) => [what, name]);
  assert.deepEqual(blamed(), [], "a provisional answer without one may be as it is");
  bob.answer(200, { isRouteless: true });
  assert.deepEqual(blamed(), [["no-route", "bob"]]);
  alice.send(alice.within(alice.response, "ACK"));
  assert.equal(world.edge.calls()[0]?.state, "acknowledged");
  assert.deepEqual(blamed(), [["no-route", "bob"]]);
  assert.deepEqual(world.told("trouble"), ["no-route"]);
});

test("without its token an ACK from elsewhere, and a request with another user's password, go nowhere", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  const carol = new Phone(world, "carol", { outside: "198.51.100.99" });
  carol.register();
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const before = bob.requests.length;
  for (const method of ["ACK", "BYE"]) {
    const stolen = alice.within(alice.response, method);
    stolen.headers.remove("Route");
    if (method === "ACK") carol.send(stolen);
    else carol.ask(stolen);
  }
  assert.equal(bob.requests.length, before);
  assert.equal(world.edge.calls()[0]?.state, "answered");
});

test("RFC 3261 §13.3.1.4: an answer that nobody acknowledges for 32 s is named, and whose ACK it is", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  world.pass(32_000);
  const troubles = () => world.edge.calls()[0]?.troubles.map(({ what, name }) => [what, name]);
  assert.deepEqual(troubles(), [["never-acknowledged", "alice"]]);
  alice.send(alice.within(alice.response, "ACK"));
  bob.send(bob.within(bob.request("INVITE"), "INVITE", { body: bob.sdp() }));
  const again = createResponse(alice.request("INVITE"), 200, { headers: [["Contact", `<${alice.contact}>`]] });
  again.setBody(alice.sdp(), "application/sdp");
  alice.send(again);
  world.pass(32_000);
  assert.deepEqual(troubles(), [
    ["never-acknowledged", "alice"],
    ["never-acknowledged", "bob"],
  ]);
});

test("a phone that says nothing at all is named, when it is called and within a call", () => {
  const world = new World();
  const [alice] = phones(world);
  const events = (): unknown => world.events.flatMap((one) => (one.type === "trouble" ? [[one.what, one.name]] : []));
  alice.ask(alice.invitation("bob"));
  world.pass(33_000);
  assert.deepEqual(events(), [["unreachable", "bob"]]);
  assert.deepEqual(
    world.edge.endedCalls(world.now).map(({ end, troubles }) => [end, troubles[0]?.what]),
    [["refused: 408 Request Timeout", "unreachable"]],
  );
});

test("a lost connection is named, what cannot be sent meanwhile too, and that the phone has come back", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5", transport: "tcp" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  bob.reconnect(50_001);
  const troubles = () => world.edge.calls()[0]?.troubles.map(({ what, name, isOver }) => [what, name, isOver]);
  assert.deepEqual(troubles(), [["flow-lost", "bob", false]]);
  alice.send(alice.within(alice.response, "ACK"));
  assert.deepEqual(troubles()?.at(-1), ["unreachable", "bob", false]);
  bob.register();
  assert.deepEqual(troubles()?.[0], ["flow-lost", "bob", true]);
  alice.send(alice.within(alice.response, "ACK"));
  assert.ok(bob.request("ACK"));
  assert.deepEqual(world.told("trouble"), ["flow-lost", "unreachable"]);
});
