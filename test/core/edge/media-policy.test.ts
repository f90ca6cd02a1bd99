/** Calls whose media is not anchored: by policy, and within a site. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, formatAddress } from "../../../src/core/base/address.ts";
import { parsePrefix } from "../../../src/core/base/prefix.ts";
import { describeSdp } from "../../../src/core/call/sdp.ts";
import type { EdgeConfig, Trunk } from "../../../src/core/edge/config.ts";
import type { Site } from "../../../src/core/edge/sites.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipRequest, SipResponse } from "../../../src/core/sip/message/message.ts";
import { ALICE, BOB, check, iceLines } from "../relay/checks.ts";
import { voiceSdp } from "../relay/world.ts";
import { rtp } from "../rtp/packets.ts";
import { at, EDGE, Phone, type PhoneOptions, sdpOf, World } from "./world.ts";

const prefixes = (...texts: readonly string[]) => texts.map((text) => parsePrefix(text) ?? assert.fail(text));

function registered(world: World, user: string, options: PhoneOptions): Phone {
  const phone = new Phone(world, user, options);
  assert.equal(phone.register().status, 200);
  return phone;
}

function ringing(alice: Phone, bob: Phone): SipRequest {
  alice.ask(alice.invitation("bob"));
  bob.answer(180);
  return bob.request("INVITE");
}

function answered(alice: Phone, bob: Phone): { invite: SipRequest; answer: SipResponse } {
  const invite = ringing(alice, bob);
  bob.answer(200);
  return { invite, answer: alice.response };
}

function ends(world: World): (string | undefined)[] {
  return world.events.flatMap((event) => (event.type === "call" && event.what === "ended" ? [event.call.end] : []));
}

suite("L6: with the policy direct", () => {
  const open = { outside: "198.51.100.7", inside: "198.51.100.7", port: 5060 };
  const other = { outside: "198.51.100.8", inside: "198.51.100.8", port: 5060 };

  test("the trapezoid in full: what follows the answer does not come here, and the record says so", () => {
    const world = new World({ media: "direct" });
    const [alice, bob] = [registered(world, "alice", open), registered(world, "bob", other)];
    const { invite, answer } = answered(alice, bob);
    assert.deepEqual(
      alice.responses.slice(2).map(({ status }) => status),
      [407, 100, 180, 200],
    );
    for (const message of [invite, answer]) {
      assert.deepEqual(message.headers.values("record-route"), []);
      assert.doesNotMatch(message.format(), /postern-contact/);
    }
    assert.equal(invite.header("contact"), `<${alice.contact}>`);
    assert.equal(answer.header("contact"), `<${bob.contact}>`);
    assert.equal(invite.body, alice.sdp());
    assert.equal(answer.body, bob.sdp());
    assert.equal(world.ports.size, 0);
    assert.deepEqual(world.told("call"), ["started", "ringing", "answered", "ended"]);
    assert.deepEqual(ends(world), ["end not observed"]);
    const [last] = world.events.slice(-1);
    assert.ok(last?.type === "call" && last.call.direct === "policy" && last.call.callee?.name === "bob");
    world.pass(3_600_000);
    assert.deepEqual(world.told("trouble"), [], "nobody waits for an ACK that goes elsewhere");
    assert.deepEqual(world.edge.calls(), []);
  });

  test("who cancels, refuses or does not answer is still seen", () => {
    const world = new World({ media: "direct" });
    const [alice, bob] = [registered(world, "alice", open), registered(world, "bob", other)];
    ringing(alice, bob);
    assert.equal(world.edge.calls()[0]?.direct, "policy");
    bob.answer(486);
    assert.deepEqual(ends(world), ["refused: 486 Busy Here"]);
  });

  const anchored: Record<string, readonly [Partial<PhoneOptions>, Partial<PhoneOptions>]> = {
    "the caller is behind a NAT": [{ inside: "192.168.1.5" }, {}],
    "who is called is behind a NAT": [{}, { inside: "192.168.1.5" }],
    "one has IPv6 alone": [{ outside: "2001:db8::7", inside: "[2001:db8::7]" }, {}],
  };
  for (const [why, [one, two]] of Object.entries(anchored)) {
    test(`it is anchored where ${why}`, () => {
      const world = new World({ media: "direct" });
      const alice = registered(world, "alice", { ...open, ...one });
      const bob = registered(world, "bob", { ...other, ...two });
      const invite = ringing(alice, bob);
      assert.equal(invite.headers.values("record-route").length, 1);
      assert.match(invite.body, new RegExp(`c=IN IP4 ${EDGE}`));
      assert.equal(world.edge.calls()[0]?.direct, undefined);
    });
  }

  test("and where one of several phones is", () => {
    const world = new World({ media: "direct" });
    const alice = registered(world, "alice", open);
    registered(world, "bob", other);
    const away = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    alice.ask(alice.invitation("bob"));
    assert.match(away.request("INVITE").body, new RegExp(`c=IN IP4 ${EDGE}`));
    assert.equal(world.edge.calls()[0]?.direct, undefined);
  });

  test("a subscription is still kept to", () => {
    const world = new World({ media: "direct" });
    const [alice, bob] = [registered(world, "alice", open), registered(world, "bob", other)];
    const subscribe = alice.build("SUBSCRIBE", "sip:bob@example.org", [
      ["From", "<sip:alice@example.org>;tag=s"],
      ["To", "<sip:bob@example.org>"],
      ["Call-ID", "subscription"],
      ["CSeq", "70 SUBSCRIBE"],
      ["Contact", `<${alice.contact}>`],
      ["Event", "presence"],
    ]);
    alice.ask(subscribe);
    assert.equal(bob.request("SUBSCRIBE").headers.values("record-route").length, 1);
  });
});

const OFFICE: Site = {
  name: "office",
  prefixes: prefixes("192.168.1.0/24", "10.8.0.0/16", "fd00:1::/48"),
  behind: prefixes("198.51.100.7"),
};

suite("within a site", () => {
  const config: Partial<EdgeConfig> = { sites: [OFFICE] };
  const inside = { outside: "198.51.100.7", inside: "192.168.1.5" };
  const beside = { outside: "198.51.100.7", inside: "10.8.3.4", port: 40_001 };

  test("media is left alone, and signaling is not", () => {
    const world = new World(config);
    const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    const { invite, answer } = answered(alice, bob);
    assert.equal(invite.body, alice.sdp());
    assert.equal(answer.body, bob.sdp());
    assert.equal(invite.headers.values("record-route").length, 1);
    assert.match(invite.header("contact") ?? "", /postern-contact/);
    assert.equal(world.ports.size, 0);
    alice.send(alice.within(answer, "ACK"));
    const [call] = world.edge.calls();
    assert.deepEqual([call?.direct, call?.site, call?.state], ["site", "office", "acknowledged"]);
    world.pass(3_600_000);
    assert.equal(world.edge.calls().length, 1, "it goes on, though nothing is heard of it");
    bob.send(bob.within(invite, "BYE"));
    alice.send(createResponse(alice.request("BYE"), 200));
    assert.deepEqual(ends(world), ["hung up by callee"]);
    assert.deepEqual(world.told("trouble"), []);
  });

  test("a call whose end is not told is forgotten in the end", () => {
    const world = new World(config);
    const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    const { answer } = answered(alice, bob);
    alice.send(alice.within(answer, "ACK"));
    world.pass(4 * 3_600_000);
    assert.deepEqual(ends(world), ["end not observed"]);
  });

  test("where the server is within too", () => {
    const world = new World(config);
    const alice = registered(world, "alice", { outside: "192.168.1.5", inside: "192.168.1.5" });
    const bob = registered(world, "bob", { outside: "10.8.3.4", inside: "10.8.3.4" });
    const { invite, answer } = answered(alice, bob);
    assert.deepEqual([invite.body, answer.body], [alice.sdp(), bob.sdp()]);
  });

  test("an offer that comes with the answer is left alone, and so is its answer", () => {
    const world = new World(config);
    const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    alice.ask(alice.invitation("bob", "late", ""));
    bob.answer(200);
    assert.equal(alice.response.body, bob.sdp());
    alice.send(alice.within(alice.response, "ACK", { body: alice.sdp() }));
    assert.equal(bob.request("ACK").body, alice.sdp());
  });

  const anchored: Record<string, readonly [Partial<PhoneOptions>, Partial<PhoneOptions>]> = {
    "the public address is another's": [{ outside: "198.51.100.9" }, {}],
    "who is called comes from elsewhere": [{}, { outside: "198.51.100.9" }],
    "the caller's media is elsewhere, behind the same public address": [{ inside: "192.168.2.5" }, {}],
    "who is called says to be elsewhere, behind the same public address": [{}, { inside: "172.16.0.4" }],
    "it says to be at the public address itself": [{ inside: "198.51.100.7" }, {}],
  };
  for (const [why, [one, two]] of Object.entries(anchored)) {
    test(`it is anchored where ${why}`, () => {
      const world = new World(config);
      const alice = registered(world, "alice", { ...inside, ...one });
      const bob = registered(world, "bob", { ...beside, ...two });
      const { invite, answer } = answered(alice, bob);
      for (const { body } of [invite, answer]) assert.match(body, new RegExp(`c=IN IP4 ${EDGE}`));
    });
  }

  test("equal public addresses prove nothing where no site is declared to be there", () => {
    const world = new World({ sites: [{ ...OFFICE, behind: [] }] });
    const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    assert.match(ringing(alice, bob).body, new RegExp(`c=IN IP4 ${EDGE}`));
  });

  test("two sites are two", () => {
    const home: Site = { name: "home", prefixes: prefixes("192.168.7.0/24"), behind: prefixes("192.0.2.9") };
    const world = new World({ sites: [OFFICE, home] });
    const alice = registered(world, "alice", inside);
    const bob = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.7.5" });
    assert.match(ringing(alice, bob).body, new RegExp(`c=IN IP4 ${EDGE}`));
  });

  test("a trunk is of none", () => {
    const trunk: Trunk = {
      ...{ name: "exchange", sources: prefixes("192.168.1.9"), media: [], host: "192.168.1.9", prefixes: [""] },
      ...{ target: { transport: "udp", address: at("192.168.1.9", 5060) }, users: "all" },
    };
    const world = new World({ ...config, trunks: [trunk] });
    const alice = registered(world, "alice", { outside: "192.168.1.5", inside: "192.168.1.5" });
    alice.ask(alice.invitation("112"));
    assert.match(world.astray.at(-1)?.text ?? "", new RegExp(`c=IN IP4 ${EDGE}`));
  });

  test("a stream on the Internet beside one within is relayed with it", () => {
    const world = new World(config);
    const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    const body = alice.sdp(["m=video 7002 RTP/AVP 96", "c=IN IP4 198.51.100.200", "a=rtpmap:96 H264/90000"]);
    alice.ask(alice.invitation("bob", undefined, body));
    assert.doesNotMatch(bob.request("INVITE").body, /c=IN IP4 (192|198)/);
  });

  test("hold by 0.0.0.0 stays within; and who has left the site is relayed from the next offer on", () => {
    const world = new World(config);
    const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    const { answer, invite } = answered(alice, bob);
    alice.send(alice.within(answer, "ACK"));
    const offer = (body: string): SipRequest => {
      const before = bob.requests.length;
      alice.ask(alice.within(answer, "INVITE", { body }));
      assert.ok(bob.requests.length > before);
      const got = bob.request("INVITE");
      const reply = createResponse(got, 200);
      reply.headers.set("Contact", `<${bob.contact}>`);
      reply.setBody(bob.sdp(), "application/sdp");
      bob.send(reply);
      alice.send(alice.within(answer, "ACK", { cseq: alice.response.cseq.number }));
      return got;
    };
    const held = alice.sdp().replace("c=IN IP4 192.168.1.5", "c=IN IP4 0.0.0.0");
    assert.equal(offer(held).body, held);
    const resumed = bob.within(invite, "INVITE", { body: bob.sdp() });
    bob.send(resumed);
    assert.equal(alice.request("INVITE").body, bob.sdp());
    alice.send(createResponse(alice.request("INVITE"), 488));
    alice.move("203.0.113.77", 41_000);
    const moved = offer(voiceSdp("10.0.0.2:7000"));
    assert.match(moved.body, new RegExp(`c=IN IP4 ${EDGE}`));
    assert.match(alice.response.body, new RegExp(`c=IN IP4 ${EDGE}`));
    const [call] = world.edge.calls();
    assert.deepEqual([call?.direct, call?.media?.isConfirmed], [undefined, true]);
  });

  test("of two phones the one within takes the call: what was relayed for the other is free", () => {
    const world = new World(config);
    const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    const mobile = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.44.5" });
    alice.ask(alice.invitation("bob"));
    assert.match(mobile.request("INVITE").body, new RegExp(`c=IN IP4 ${EDGE}`));
    assert.equal(bob.request("INVITE").body, alice.sdp());
    mobile.answer(183, { body: mobile.sdp() });
    assert.ok(world.ports.size > 0);
    bob.answer(200);
    assert.equal(alice.response.body, bob.sdp());
    mobile.answer(487, { body: "" });
    assert.equal(world.ports.size, 0);
    assert.equal(world.edge.calls()[0]?.site, "office");
  });

  test("and is forgotten in the end, though its ACK came before the other phone had given way", () => {
    const world = new World(config);
    const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    const mobile = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.44.5" });
    alice.ask(alice.invitation("bob"));
    mobile.answer(183, { body: mobile.sdp() });
    bob.answer(200);
    alice.send(alice.within(alice.response, "ACK"));
    world.pass(4 * 3_600_000 - 1_000);
    assert.equal(world.edge.callCount, 1);
    world.pass(61_000);
    assert.deepEqual([ends(world), world.edge.callCount], [["end not observed"], 0]);
  });

  for (const preferred of ["within", "outside"] as const) {
    test(`both answer at once, and the caller keeps the one ${preferred}: its media is where it should be`, () => {
      const world = new World(config);
      const [alice, bob] = [registered(world, "alice", inside), registered(world, "bob", beside)];
      const mobile = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.44.5" });
      alice.ask(alice.invitation("bob"));
      bob.answer(200);
      const first = alice.response;
      mobile.answer(200);
      const second = alice.response;
      assert.match(second.body, new RegExp(`c=IN IP4 ${EDGE}`));
      for (const answer of [first, second]) alice.send(alice.within(answer, "ACK"));
      const [left, gone] = preferred === "within" ? [second, mobile] : [first, bob];
      alice.send(alice.within(left, "BYE"));
      gone.send(createResponse(gone.request("BYE"), 200));
      const [call] = world.edge.calls();
      assert.equal(call?.site, preferred === "within" ? "office" : undefined);
      assert.equal(call?.media?.isConfirmed, preferred === "within" ? undefined : true);
      assert.equal(world.ports.size > 0, preferred === "outside");
      world.pass(30_000);
      assert.equal(world.edge.calls().length, 1);
    });
  }

  test("of two phones the other takes the call: it is anchored", () => {
    const world = new World(config);
    const [alice] = [registered(world, "alice", inside), registered(world, "bob", beside)];
    const mobile = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.44.5" });
    alice.ask(alice.invitation("bob"));
    mobile.answer(200);
    assert.match(alice.response.body, new RegExp(`c=IN IP4 ${EDGE}`));
    assert.equal(world.edge.calls()[0]?.direct, undefined);
    assert.equal(world.edge.calls()[0]?.media?.isConfirmed, true);
  });
});

suite("phones that both speak ICE", () => {
  const speaking = (phone: Phone, own: typeof ALICE) =>
    phone.sdp(iceLines(own, `1 1 UDP 1 ${phone.inside} 7000 typ host`));

  test("are offered each other's candidates and ours; who finds a way without us is not taken for silent", () => {
    const world = new World();
    const alice = registered(world, "alice", { outside: "198.51.100.7" });
    const bob = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    alice.ask(alice.invitation("bob", undefined, speaking(alice, ALICE)));
    const { body } = bob.request("INVITE");
    assert.match(body, /a=candidate:1 1 UDP 1 10\.0\.0\.2 7000 typ host/);
    assert.match(body, new RegExp(`a=candidate:postern 1 udp \\d+ ${EDGE} \\d+ typ relay`));
    bob.answer(200, { body: speaking(bob, BOB) });
    const answer = alice.response;
    assert.match(answer.body, /a=candidate:1 1 UDP 1 192\.168\.1\.5 7000 typ host/);
    alice.send(alice.within(answer, "ACK"));
    world.pass(3_600_000);
    assert.deepEqual(world.told("trouble"), []);
    alice.send(alice.within(answer, "BYE"));
    bob.send(createResponse(bob.request("BYE"), 200));
    assert.deepEqual(ends(world), ["hung up by caller"]);
    const [last] = world.events.slice(-1);
    assert.ok(last?.type === "call" && last.call.direct === "ice");
  });

  test("and are forgotten when nobody can still talk", () => {
    const world = new World();
    const alice = registered(world, "alice", { outside: "198.51.100.7" });
    const bob = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    alice.ask(alice.invitation("bob", undefined, speaking(alice, ALICE)));
    bob.answer(200, { body: speaking(bob, BOB) });
    alice.send(alice.within(alice.response, "ACK"));
    world.pass(4 * 3_600_000 + 60_000);
    assert.deepEqual(ends(world), ["end not observed"]);
    assert.deepEqual([world.told("trouble"), world.ports.size], [[], 0]);
  });

  test("one that calls echo meets a lite agent, and its checks are answered", () => {
    const world = new World();
    const alice = registered(world, "alice", { outside: "198.51.100.7" });
    alice.ask(alice.invitation("echo", undefined, speaking(alice, ALICE)));
    const [stream] = describeSdp(sdpOf(alice.response)).streams;
    assert.ok(stream?.ice?.isLite && stream.media?.address);
    const from = at("198.51.100.7", 17_000);
    assert.equal(world.packet(from, stream.media.address as Address, check(ALICE, stream.ice)), undefined);
    assert.deepEqual(
      world.stored.flatMap((one) => (one.kind === "media" ? [formatAddress(one.route.remote)] : [])),
      ["198.51.100.7:17000"],
    );
    const echoed = world.packet(from, stream.media.address as Address, rtp({ ssrc: 1, sequence: 1 }));
    assert.equal(echoed && formatAddress(echoed.remote), "198.51.100.7:17000");
  });

  test("RFC 5768 §4.3: one that says so is offered it, though the other speaks none; others are not", () => {
    const world = new World();
    const alice = registered(world, "alice", { outside: "198.51.100.7" });
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    const registration = bob.registration();
    registration.headers.set("Contact", `<${bob.contact}>;q=0.5;+sip.ice`);
    assert.equal(bob.ask(registration).status, 200);
    const carol = registered(world, "carol", { outside: "192.0.2.10", inside: "192.168.1.6" });
    alice.ask(alice.invitation("bob"));
    assert.match(bob.request("INVITE").body, /^a=ice-lite\r$/m);
    alice.ask(alice.invitation("carol"));
    assert.doesNotMatch(carol.request("INVITE").body, /ice-|candidate/);
  });

  test("and so is a caller that brings no offer", () => {
    for (const tag of ["", ";+sip.ice"]) {
      const world = new World();
      const alice = registered(world, "alice", { outside: "198.51.100.7" });
      const bob = registered(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
      const invite = alice.invitation("bob", undefined, "");
      invite.headers.set("Contact", `<${alice.contact}>${tag}`);
      alice.ask(invite);
      bob.answer(200);
      assert.equal(alice.response.body.includes("a=ice-lite"), tag !== "");
    }
  });
});
