/** RFC 3261 §12: in a fork the caller has a dialog with each phone, and may say in each another place for its media. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipMessage, SipResponse } from "../../../src/core/sip/message/message.ts";
import { voiceSdp } from "../relay/world.ts";
import { rtcp, rtp } from "../rtp/packets.ts";
import { type Ringing, ring } from "./ringing.ts";
import { at, mediaOf, type Phone, sdpOf, type World } from "./world.ts";

const CALLER = "198.51.100.7";
let sequence = 0;

function ipOf({ flow }: Phone): string {
  return formatAddress(flow.remote).split(":")[0] as string;
}

/** What a phone says whose media is at its public address: media goes there at once. */
function says(phone: Phone, port: number, more: readonly string[] = []): string {
  return voiceSdp(`${ipOf(phone)}:${port}`, more);
}

/** Whom a packet reaches that a phone sends from `port` to where `told` says. */
function reached(world: World, phone: Phone, port: number, told: SipMessage, data?: Uint8Array): string {
  const from = at(ipOf(phone), port);
  const got = world.packet(from, mediaOf(sdpOf(told)), data ?? rtp({ ssrc: from.w3, sequence: ++sequence }));
  return got === undefined ? "nobody" : formatAddress(got.remote);
}

function answered(phone: Phone, method: string, body: string): void {
  const response = createResponse(phone.request(method), 200);
  response.setBody(body, "application/sdp");
  phone.send(response);
}

/** The caller is at port 17000, and both phones have said at once where they are: at ports 17001 and 17002. */
function sounding(more: readonly [string[], string[]] = [[], []]): Ringing & { early: readonly SipResponse[] } {
  const ringing = ring(voiceSdp(`${CALLER}:17000`, ["a=rtcp-mux"]));
  const early = [0, 1].map((i) => {
    const phone = ringing.phones[i] as Phone;
    phone.answer(183, { body: says(phone, 17_001 + i, more[i]) });
    return ringing.alice.response;
  });
  return { ...ringing, early };
}

/** Within its dialog with the first phone the caller says that it is at port 17100. */
function update({ alice, phones, early }: ReturnType<typeof sounding>): void {
  alice.send(alice.within(early[0] as SipResponse, "UPDATE", { body: says(alice, 17_100) }));
  answered(phones[0], "UPDATE", says(phones[0], 17_001));
  assert.equal(alice.response.status, 200);
}

suite("RFC 3311 §5: an UPDATE within an early dialog", () => {
  test("is for that dialog alone: another phone that answers speaks to where the INVITE has said", () => {
    const ringing = sounding();
    const { world, alice, phones } = ringing;
    update(ringing);
    assert.equal(reached(world, phones[0], 17_001, phones[0].request("INVITE")), `${CALLER}:17100`);
    phones[1].answer(200, { body: says(phones[1], 17_002) });
    assert.equal(reached(world, phones[1], 17_002, phones[1].request("INVITE")), `${CALLER}:17000`);
    assert.equal(reached(world, alice, 17_000, alice.response), "192.0.2.77:17002");
    assert.equal(reached(world, phones[0], 17_001, phones[0].request("INVITE")), "nobody");
  });

  test("and so where the phone has answered before, and says no more", () => {
    const ringing = sounding();
    const { world, alice, phones, early } = ringing;
    update(ringing);
    phones[1].answer(200, { body: "" });
    assert.equal(reached(world, phones[1], 17_002, phones[1].request("INVITE")), `${CALLER}:17000`);
    assert.equal(reached(world, alice, 17_000, early[1] as SipResponse), "192.0.2.77:17002");
  });

  test("counts for the phone that it was for", () => {
    const ringing = sounding();
    const { world, alice, phones } = ringing;
    update(ringing);
    phones[0].answer(200, { body: "" });
    assert.equal(reached(world, phones[0], 17_001, phones[0].request("INVITE")), `${CALLER}:17100`);
    assert.equal(reached(world, alice, 17_100, ringing.early[0] as SipResponse), "192.0.2.9:17001");
  });

  test("of a phone that has given way is refused, and opens nothing", () => {
    const { world, alice, phones, early } = sounding();
    alice.send(alice.within(early[0] as SipResponse, "UPDATE", { body: says(alice, 17_100) }));
    phones[1].answer(200);
    phones[0].answer(487);
    phones[2].answer(487);
    answered(phones[0], "UPDATE", says(phones[0], 17_001));
    assert.deepEqual([alice.response.cseq.method, alice.response.status], ["UPDATE", 481]);
    alice.send(alice.within(early[0] as SipResponse, "UPDATE", { body: says(alice, 17_200) }));
    assert.deepEqual([alice.response.cseq.method, alice.response.status], ["UPDATE", 481]);
    assert.equal(world.ports.size, 4);
  });
});

test("RFC 5761 §5.1.1: who of two shares a port for RTCP is said by the one that has answered", () => {
  for (const winner of [0, 1] as const) {
    const { world, alice, phones, early } = sounding([["a=rtcp-mux"], []]);
    phones[winner].answer(200, { body: "" });
    const told = early[winner] as SipResponse;
    assert.equal(reached(world, alice, 17_000, told), `${ipOf(phones[winner])}:${17_001 + winner}`);
    const goes = reached(world, alice, 17_000, told, rtcp(at(CALLER, 0).w3));
    assert.equal(goes, winner === 0 ? "192.0.2.9:17001" : "nobody");
  }
});

test("RFC 3261 §13.2.2.4: what is said to a second phone that has answered moves nothing of the first one's", () => {
  const { world, alice, phones, early } = sounding();
  phones[0].answer(200, { body: "" });
  alice.send(alice.within(alice.response, "ACK"));
  phones[1].answer(200, { body: "" });
  const second = alice.response;
  alice.send(alice.within(second, "ACK"));
  alice.send(alice.within(second, "UPDATE", { body: says(alice, 17_300) }));
  answered(phones[1], "UPDATE", says(phones[1], 17_302));
  assert.equal(alice.response.status, 200);
  assert.equal(reached(world, phones[0], 17_001, phones[0].request("INVITE")), `${CALLER}:17000`);
  assert.equal(reached(world, alice, 17_000, early[0] as SipResponse), "192.0.2.9:17001");
  alice.send(alice.within(early[0] as SipResponse, "BYE"));
  phones[0].send(createResponse(phones[0].request("BYE"), 200));
  assert.equal(reached(world, phones[1], 17_302, phones[1].request("INVITE")), `${CALLER}:17300`);
  assert.equal(reached(world, alice, 17_300, early[1] as SipResponse), "192.0.2.77:17302");
});
