/** What a dialog's later requests change, and what they leave as it was. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipResponse } from "../../../src/core/sip/message/message.ts";
import { Phone, sdpOf, World } from "./world.ts";

interface Talk {
  readonly world: World;
  readonly alice: Phone;
  readonly bob: Phone;
  readonly answer: SipResponse;
}

function talk(): Talk {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  return { world, alice, bob, answer };
}

test("RFC 3261 §14.1: a second stream that is refused holds no ports, and the first goes on", () => {
  const { world, alice, bob, answer } = talk();
  const before = world.ports.size;
  const offer = `${alice.sdp()}m=video 9000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n`;
  alice.send(alice.within(answer, "INVITE", { body: offer }));
  assert.ok(world.ports.size > before);
  bob.send(createResponse(bob.request("INVITE"), 488));
  assert.equal(alice.response.status, 488);
  assert.equal(world.ports.size, before);
  bob.speak(sdpOf(bob.requests.find(({ method }) => method === "INVITE") ?? assert.fail()));
  assert.ok(alice.speak(sdpOf(answer)));
});

test("RFC 3261 §16.3: an ACK that has come too far goes no further", () => {
  const { alice, bob, answer } = talk();
  const before = bob.requests.length;
  const ack = alice.within(answer, "ACK");
  ack.headers.set("Max-Forwards", "0");
  alice.send(ack);
  assert.equal(bob.requests.length, before);
});

test("RFC 3262 §5: an offer in a provisional response is answered by its PRACK, and media runs", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  alice.ask(alice.invitation("bob", "late", ""));
  bob.answer(183, { body: bob.sdp() });
  const early = alice.response;
  alice.send(alice.within(early, "PRACK", { body: alice.sdp() }));
  const prack = bob.request("PRACK");
  alice.speak(sdpOf(early));
  assert.ok(bob.speak(sdpOf(prack)));
  assert.ok(alice.speak(sdpOf(early)));
  bob.send(createResponse(prack, 200));
  bob.answer(200, { body: "" });
  assert.equal(alice.response.status, 200);
});

test("RFC 3261 §14.2: a later INVITE without an offer gets one with its answer, and media follows the ACK's", () => {
  const { alice, bob, answer } = talk();
  alice.send(alice.within(answer, "INVITE"));
  bob.answer(200, { body: bob.sdp().replace("audio 7000", "audio 7100") });
  const offer = alice.response;
  const ack = alice.within(answer, "ACK", { body: alice.sdp().replace("audio 7000", "audio 7200") });
  ack.headers.set("CSeq", `${offer.cseq.number} ACK`);
  alice.send(ack);
  alice.speak(sdpOf(offer));
  assert.ok(bob.speak(sdpOf(bob.request("ACK"))));
  assert.ok(alice.speak(sdpOf(offer)));
});

test("RFC 3261 §16.6: the phone with the smaller q rings when the other has refused", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const desk = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  const mobile = new Phone(world, "bob", { outside: "192.0.2.77", inside: "192.168.9.5" });
  for (const phone of [alice, desk]) assert.equal(phone.register().status, 200);
  const second = mobile.registration();
  second.headers.set("Contact", `<${mobile.contact}>;q=0.3`);
  assert.equal(mobile.ask(second).status, 200);
  alice.ask(alice.invitation("bob"));
  assert.equal(mobile.requests.length, 0);
  desk.answer(486);
  assert.ok(mobile.request("INVITE"));
  mobile.answer(200);
  assert.equal(alice.response.status, 200);
});

test("a stranger's OPTIONS without credentials is not even challenged, also of one that says no name", () => {
  const world = new World();
  const stranger = new Phone(world, "alice", { outside: "198.51.100.66" });
  const options = stranger.registration().format().replaceAll("REGISTER", "OPTIONS");
  world.deliver(options, stranger.flow);
  assert.equal(stranger.responses.length, 0);
  world.deliver(stranger.registration().format(), stranger.flow);
  assert.equal(stranger.response.status, 401);
});

test("RFC 3261 §21.4.26: a description that nobody can read is refused, and the call goes on", () => {
  const { world, alice, bob, answer } = talk();
  const before = bob.requests.length;
  alice.send(alice.within(answer, "INVITE", { body: "no description\r\n" }));
  assert.equal(alice.response.status, 488);
  assert.equal(bob.requests.length, before);
  assert.equal(world.edge.calls().length, 1);
});
