/** DTLS-SRTP between two parties: the relay carries the handshake of whom signaling or ICE has validated. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { rtp } from "../rtp/packets.ts";
import { ALICE, BOB, check, iceLines } from "./checks.ts";
import { at, type Call, NATED, PUBLIC, RelayWorld, setUp } from "./world.ts";

const FINGERPRINT = `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => "AB").join(":")}`;
const STRANGER = at("192.0.2.13:4000");

/** RFC 6347 §4.1: content type, version DTLS 1.0, epoch, number, length; then a handshake's message. */
function dtls(type = 22): Uint8Array {
  const data = new Uint8Array(13 + 40);
  data.set([type, 254, 255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 40]);
  return data;
}

function call(more: readonly string[] = [FINGERPRINT, "a=setup:actpass"]): Call {
  return setUp(new RelayWorld(), { ...NATED, more }, { ...PUBLIC, more });
}

function sent({ caller, callee }: Call, who: "caller" | "callee", data: Uint8Array, from?: string): string | undefined {
  const phone = who === "caller" ? caller : callee;
  const route = caller.world.arrive(data, from === undefined ? phone.from : at(from), phone.target);
  return route && formatAddress(route.remote);
}

suite("a handshake", () => {
  test("from behind a NAT, before there is any media: it passes, and so does its answer, and then SRTP", () => {
    const one = call();
    const { caller, callee } = one;
    assert.equal(sent(one, "caller", dtls()), PUBLIC.says);
    assert.equal(sent(one, "callee", dtls()), NATED.from);
    assert.equal(sent(one, "caller", dtls(20)), PUBLIC.says);
    assert.deepEqual(callee.talk(1), [NATED.from]);
    assert.deepEqual(caller.talk(1), [PUBLIC.says]);
  });

  test("from anybody else is dropped, before and after", () => {
    const one = call();
    for (let n = 0; n < 2; n++) {
      assert.equal(sent(one, "caller", dtls(), formatAddress(STRANGER)), undefined);
      assert.equal(sent(one, "callee", dtls(), formatAddress(STRANGER)), undefined);
      sent(one, "caller", dtls());
    }
    assert.equal(one.caller.media.drops.stranger, 2);
    assert.equal(one.caller.place, NATED.from);
  });

  test("a stray hello from the same NAT delays the true one, and no more; once media proves the port it is nothing", () => {
    const one = call();
    const { caller } = one;
    const elsewhere = "198.51.100.7:50000";
    assert.equal(sent(one, "caller", dtls(), elsewhere), PUBLIC.says);
    assert.equal(caller.place, elsewhere);
    assert.equal(sent(one, "caller", dtls()), PUBLIC.says);
    assert.equal(caller.place, NATED.from);
    caller.talk(3);
    assert.equal(sent(one, "caller", dtls(), elsewhere), undefined);
    assert.equal(caller.place, NATED.from);
    assert.equal(caller.media.drops["other-port"], 1);
  });

  test("who has sent a hello before the phone has sent media is forgotten when that proves itself", () => {
    const one = call();
    const { caller } = one;
    sent(one, "caller", dtls(), "198.51.100.7:50000");
    caller.talk(3);
    assert.equal(caller.place, NATED.from);
  });

  test("what does not begin one proves nothing, and so does any where no certificate was named", () => {
    const one = call();
    for (const type of [20, 21, 23, 63]) assert.equal(sent(one, "caller", dtls(type)), undefined);
    assert.equal(one.caller.media.drops.learning, 4);
    const keyed = call(["a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"]);
    assert.equal(sent(keyed, "caller", dtls()), undefined);
    assert.equal(keyed.caller.media.drops.malformed, 1);
    assert.deepEqual(keyed.caller.talk(3)[2], PUBLIC.says, "SRTP with keys in the description passes as RTP does");
  });

  test("with ICE it passes from where a check has proven the party to be, and from nowhere else", () => {
    const more = (own: typeof ALICE) => [FINGERPRINT, "a=setup:actpass", ...iceLines(own)];
    const one = setUp(new RelayWorld(), { ...NATED, more: more(ALICE) }, { ...PUBLIC, more: more(BOB) });
    const { world } = one.caller;
    assert.equal(sent(one, "caller", dtls()), undefined);
    assert.equal(sent(one, "callee", dtls()), undefined);
    world.arrive(check(BOB, ALICE), one.callee.from, one.callee.target);
    world.arrive(check(ALICE, BOB, { nominates: true }), one.caller.from, one.caller.target);
    assert.equal(sent(one, "caller", dtls()), PUBLIC.says);
    assert.equal(sent(one, "callee", dtls()), NATED.from);
    assert.equal(sent(one, "caller", dtls(), "198.51.100.7:50000"), undefined);
    assert.equal(sent(one, "caller", rtp({ ssrc: 1, sequence: 1 }), "198.51.100.7:50000"), undefined);
  });
});
