/** Phones that answer when it is another's call already, or nobody's: who hears whom, and what is held for how long. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipResponse } from "../../../src/core/sip/message/message.ts";
import { cancelOf, codecs, early, type Ringing, ring } from "./ringing.ts";
import { sdpOf } from "./world.ts";

/** Everybody but `winner` says that its request was cancelled. */
function giveWay({ phones }: Ringing, winner: number): void {
  for (const [i, phone] of phones.entries()) if (i !== winner) phone.answer(487);
}

suite("RFC 3960: three phones ring, and two of them sound at once, each in its own codec", () => {
  test("the caller hears who has come last, then who answers; and what the others held is free at once", () => {
    const ringing = ring();
    const { world, alice, phones } = ringing;
    const [first, second, third] = phones;
    const [one, two] = [early(ringing, 0), early(ringing, 1)];
    third.answer(180);
    assert.match(one.body, /m=audio \d+ RTP\/AVP 0 101\r\n/);
    assert.match(two.body, /m=audio \d+ RTP\/AVP 8 101\r\n/);
    assert.notEqual(one.toTag, two.toTag);
    assert.equal(first.speak(sdpOf(first.request("INVITE"))), undefined);
    alice.speak(sdpOf(two));
    assert.ok(second.speak(sdpOf(second.request("INVITE"))));
    first.answer(200, { body: codecs(first, "0 101") });
    giveWay(ringing, 0);
    assert.equal(alice.response.toTag, one.toTag);
    alice.send(alice.within(alice.response, "ACK"));
    assert.ok(first.speak(sdpOf(first.request("INVITE"))));
    assert.equal(second.speak(sdpOf(second.request("INVITE"))), undefined);
    assert.deepEqual(alice.speak(sdpOf(one))?.remote, first.mediaFrom);
    assert.equal(world.ports.size, 4);
  });

  test("losers that say nothing hold their ports for a second, and not longer", () => {
    const ringing = ring();
    const { world, phones } = ringing;
    early(ringing, 0);
    early(ringing, 1);
    phones[2].answer(200);
    assert.equal(world.ports.size, 8);
    world.pass(999);
    assert.equal(world.ports.size, 8);
    world.pass(1);
    assert.equal(world.ports.size, 4);
  });
});

suite("RFC 3261 §13.2.2.4: a second phone answers when the first one has", () => {
  /** The second answer, as the caller got it; the third phone is free. */
  function second(ringing: Ringing, after: number): SipResponse {
    const { world, alice, phones } = ringing;
    for (const phone of phones) phone.answer(180);
    phones[0].answer(200);
    alice.send(alice.within(alice.response, "ACK"));
    world.pass(after);
    phones[1].answer(200);
    phones[2].answer(487);
    alice.send(alice.within(alice.response, "ACK"));
    return alice.response;
  }

  test("just when it is cancelled: its own leg is there, and has its call when the first has hung up", () => {
    const ringing = ring();
    const { world, alice, phones } = ringing;
    const answer = second(ringing, 900);
    phones[0].send(phones[0].within(phones[0].request("INVITE"), "BYE"));
    alice.send(createResponse(alice.request("BYE"), 200));
    assert.equal(world.edge.calls().length, 1);
    alice.speak(sdpOf(answer));
    assert.ok(phones[1].speak(sdpOf(phones[1].request("INVITE"))), "to where it was told to send");
    assert.deepEqual(alice.speak(sdpOf(answer))?.remote, phones[1].mediaFrom);
    assert.equal(world.ports.size, 4);
  });

  test("and is hung up by who called: nothing of it is left", () => {
    const ringing = ring();
    const { world, alice, phones } = ringing;
    alice.send(alice.within(second(ringing, 900), "BYE"));
    phones[1].send(createResponse(phones[1].request("BYE"), 200));
    assert.ok(phones[0].requests.every(({ method }) => method !== "BYE"));
    assert.equal(world.ports.size, 4);
    world.pass(10_000);
    assert.equal(world.ports.size, 4);
  });

  test("long after: its answer comes through, and an offer within its dialog brings media", () => {
    const ringing = ring();
    const { alice, phones } = ringing;
    const answer = second(ringing, 5_000);
    const isFirst = ({ status, cseq }: SipResponse) => status === 200 && cseq.method === "INVITE";
    alice.send(alice.within(alice.responses.find(isFirst) ?? assert.fail(), "BYE"));
    phones[0].send(createResponse(phones[0].request("BYE"), 200));
    alice.send(alice.within(answer, "INVITE", { body: alice.sdp() }));
    const offered = phones[1].request("INVITE");
    phones[1].answer(200);
    const again = alice.response;
    alice.send(alice.within(again, "ACK"));
    alice.speak(sdpOf(again));
    assert.ok(phones[1].speak(sdpOf(offered)));
    assert.deepEqual(alice.speak(sdpOf(again))?.remote, phones[1].mediaFrom);
  });
});

test("RFC 3261 §9.1: who answers just when the caller hangs up is heard, and then hung up", () => {
  const ringing = ring();
  const { world, alice, phones } = ringing;
  for (const phone of phones) phone.answer(180);
  alice.send(cancelOf(alice.lastInvite()));
  phones[0].answer(200);
  giveWay(ringing, 0);
  const answer = alice.response;
  assert.equal(answer.status, 200);
  alice.send(alice.within(answer, "ACK"));
  alice.speak(sdpOf(answer));
  assert.ok(phones[0].speak(sdpOf(phones[0].request("INVITE"))));
  alice.send(alice.within(answer, "BYE"));
  phones[0].send(createResponse(phones[0].request("BYE"), 200));
  assert.equal(world.ports.size, 0);
  assert.equal(world.edge.calls().length, 0);
});

test("a phone that asks the caller for a password is refused in its place", () => {
  const { alice, phones } = ring();
  const headers = [["Proxy-Authenticate", 'Digest realm="example.org", nonce="0"']] as const;
  for (const phone of phones) phone.send(createResponse(phone.request("INVITE"), 407, { toTag: "x", headers }));
  assert.equal(alice.response.status, 403);
  assert.equal(alice.response.header("proxy-authenticate"), undefined);
});

test("answers with ever another tag are passed on as long as there is room for their dialogs, and not beyond", () => {
  const { alice, phones } = ring();
  for (let i = 0; i < 500; i++) phones[0].answer(i % 2 === 0 ? 180 : 200, { tag: `tag-${i}` });
  const tags = new Set(alice.responses.flatMap(({ toTag, status }) => (status === 200 ? [toTag] : [])));
  assert.ok(tags.size >= 64 && tags.size <= 128, `${tags.size}`);
});
