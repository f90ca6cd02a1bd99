/**
 * The messages of the requirements' listings, as they go through the whole edge: a phone's INVITE from behind its NAT, and
 * what the other phone gets of it. The listings' own text is not to be had; these have their fields, each of which is looked at.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import type { SipMessage } from "../../../src/core/sip/message/message.ts";
import { EDGE, mediaOf, Phone, sdpOf, World } from "./world.ts";

function description(host: string): string {
  return [
    "v=0",
    "o=alice 2890844526 2890844526 IN IP4 pc.example.org",
    "s=-",
    `c=IN IP4 ${host}`,
    "t=0 0",
    "m=audio 49170 RTP/AVP 0 1 3 99",
    "a=rtpmap:99 telephone-event/8000",
    "a=unknown:kept  as it is",
    "",
  ].join("\r\n");
}

/** What stands in `c=` and `m=` is the relay's now; nothing else has changed. */
function assertRelayed(came: string, went: SipMessage): void {
  const media = mediaOf(sdpOf(went));
  assert.equal(formatAddress(media).split(":")[0], EDGE);
  assert.ok(media.port >= 20_000 && media.port <= 20_999);
  const expected = came
    .replace(/c=IN IP4 .*\r\n/, `c=IN IP4 ${EDGE}\r\n`)
    .replace("m=audio 49170", `m=audio ${media.port}`);
  assert.equal(went.body, expected);
  assert.equal(went.header("content-length"), `${went.body.length}`);
  assert.equal(went.header("content-type"), "application/sdp");
}

suite("L1 to L4, L10, L16: a phone calls from behind its NAT", () => {
  for (const host of ["pc.example.org", "10.0.0.2", "198.51.100.7"]) {
    test(`whose media it says is at ${host}`, () => {
      const world = new World();
      const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
      const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
      for (const phone of [alice, bob]) phone.register();
      const invitation = alice.invitation("bob", "a84b4c76e66710@10.0.0.2", description(host));
      invitation.headers.set("X-Unknown", ";;,  kept");
      alice.ask(invitation);
      const sent = alice.lastInvite();
      const got = bob.request("INVITE");

      assert.equal(got.uriText, bob.contact);
      const [own = "", others = "", ...more] = got.list("via");
      assert.match(own, /^SIP\/2\.0\/UDP 203\.0\.113\.1:5060;branch=z9hG4bK[\w.-]+;rport$/);
      const [said = ""] = sent.list("via");
      assert.equal(others, said.replace(";rport", ";rport=40000;received=198.51.100.7"));
      assert.deepEqual(more, []);
      assert.equal(got.header("max-forwards"), "69");
      for (const name of ["from", "to", "call-id", "cseq", "x-unknown"])
        assert.equal(got.header(name), sent.header(name));
      const [route = "", ...otherRoutes] = got.list("record-route");
      assert.match(route, /^<sip:[\w-]+@203\.0\.113\.1:5060;lr>$/);
      assert.deepEqual(otherRoutes, []);
      assert.match(got.header("contact") ?? "", /^<sip:alice@198\.51\.100\.7:40000;transport=udp;/);
      assertRelayed(sent.body, got);
      const names = [
        "via",
        "via",
        "record-route",
        "max-forwards",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "x-unknown",
      ];
      assert.deepEqual(
        got.headers.fields.map(({ name }) => name).toSorted(),
        [...names, "max-breadth", "content-type", "content-length"].toSorted(),
      );

      bob.answer(200, { body: description(bob.inside) });
      const answer = alice.response;
      assert.deepEqual(answer.list("via"), [others]);
      assert.deepEqual(answer.list("record-route"), [route]);
      assert.match(answer.header("contact") ?? "", /^<sip:bob@192\.0\.2\.9:40000;transport=udp;/);
      assert.deepEqual(
        [answer.callId, answer.fromTag, answer.toTag, answer.cseq.number],
        [sent.callId, sent.fromTag, "to-bob-192.168.1.5", sent.cseq.number],
      );
      assertRelayed(description(bob.inside), answer);

      alice.send(alice.within(answer, "ACK"));
      const ack = bob.request("ACK");
      assert.deepEqual([ack.uriText, ack.fromTag, ack.toTag], [bob.contact, sent.fromTag, answer.toTag]);
      bob.speak(sdpOf(got));
      assert.deepEqual(alice.speak(sdpOf(answer))?.remote, bob.mediaFrom);
      assert.ok(bob.speak(sdpOf(got)));
    });
  }
});
