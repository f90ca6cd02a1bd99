/** ICE: it ends here where one party speaks it, and passes where both do. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, blankAddress, formatAddress } from "../../../src/core/base/address.ts";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import type { LegId } from "../../../src/core/relay/outputs.ts";
import { hasIntegritySha1 } from "../../../src/core/stun/integrity.ts";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { testCrypto } from "../../support/crypto.ts";
import { described, only } from "../call/descriptions.ts";
import { rtp } from "../rtp/packets.ts";
import { ALICE, BOB, type Credentials, check, decoded, iceLines, indication, response } from "./checks.ts";
import { at, Phone, RELAY_4, RelayWorld, voiceSdp } from "./world.ts";

const [ALICES, BOBS] = ["198.51.100.7:61000", "198.51.100.80:62000"].map(at) as [Address, Address];
const STRANGER = at("192.0.2.13:4000");
const HOST = "1 1 UDP 2130706431 192.168.1.5 4000 typ host";
const REFLEXIVE = "2 1 UDP 1694498815 198.51.100.7 61000 typ srflx raddr 192.168.1.5 rport 4000";
const plain = voiceSdp("192.168.7.9:5000");
const alices = voiceSdp("192.168.1.5:4000", iceLines(ALICE, HOST, REFLEXIVE));
const bobs = voiceSdp("192.168.7.9:5000", iceLines(BOB, "1 1 UDP 2130706431 192.168.7.9 5000 typ host"));

interface Call {
  readonly world: RelayWorld;
  readonly a: LegId;
  readonly b: LegId;
  readonly alice: Phone;
  readonly bob: Phone;
  /** What each was told. */
  readonly offer: string;
  readonly answer: string;
}

function call(offered = alices, answered = plain): Call {
  const world = new RelayWorld();
  const session = world.openSession();
  const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
  const offer = world.forwarded("offer", a, b, offered);
  const answer = world.forwarded("answer", b, a, answered);
  world.relay.confirm(a, b, world.now);
  const alice = new Phone(world, a, formatAddress(ALICES), 1001).hears(answer);
  const bob = new Phone(world, b, formatAddress(BOBS), 2002).hears(offer);
  return { world, a, b, alice, bob, offer, answer };
}

/** The lite agent that a description tells of. */
function lite(text: string): Credentials {
  const { ice } = only(described(text));
  assert.ok(ice?.isLite, text);
  return ice;
}

/** Our answer to the last check. */
function told({ world }: Call): { readonly to: string; readonly data: Uint8Array } {
  const [sent] = world.sent.splice(0);
  assert.ok(sent, "nothing was answered");
  assert.equal(sent.length, sent.data.length);
  return { to: formatAddress(sent.route.remote), data: sent.data };
}

suite("where one party speaks it, it ends here", () => {
  test("RFC 8445 §2.5: the answer has a lite agent's name, password and candidates, and its default among them", () => {
    const { answer, alice } = call();
    assert.match(answer, /^a=ice-lite\r$/m);
    assert.ok(answer.indexOf("a=ice-lite") < answer.indexOf("m="));
    const stream = only(described(answer));
    assert.deepEqual(
      stream.ice?.candidates.map(({ component, type, address }) => [component, type, formatAddress(address)]),
      [
        [1, "host", formatAddress(alice.target)],
        [2, "host", formatAddress({ ...alice.target, port: alice.target.port + 1 })],
      ],
    );
    assert.deepEqual(stream.media?.address, alice.target);
    assert.match(stream.ice?.ufrag ?? "", /^[\w+/]{4,}$/);
    assert.match(stream.ice?.password ?? "", /^[\w+/]{22,}$/);
    assert.notEqual(lite(call().answer).password, undefined);
  });

  test("RFC 8445 §7.3: a check is answered where it came from, sealed; and its sender is heard and spoken to there", () => {
    const one = call();
    const { world, alice, bob } = one;
    const ends = lite(one.answer);
    bob.talk(3);
    const request = check(ALICE, ends);
    assert.equal(world.arrive(request, ALICES, alice.target), undefined);
    const { to, data } = told(one);
    assert.equal(to, formatAddress(ALICES));
    const view = decoded(data);
    assert.equal(view.class, MessageClass.Success);
    assert.deepEqual(data.subarray(4, 20), request.subarray(4, 20));
    const mapped = blankAddress();
    assert.ok(view.xorAddressAt(view.indexOf(Attribute.XorMappedAddress), mapped));
    assert.equal(formatAddress(mapped), formatAddress(ALICES));
    assert.ok(hasIntegritySha1(view, testCrypto, testCrypto.importKey(encodeUtf8(ends.password))));
    assert.equal(alice.speak(), formatAddress(BOBS), "from its first packet");
    assert.equal(bob.speak(), formatAddress(ALICES));
  });

  test("nobody is heard without a check, from wherever; and nobody is spoken to", () => {
    const { world, alice, bob } = call();
    bob.talk(3);
    assert.deepEqual(alice.talk(5), [undefined, undefined, undefined, undefined, undefined]);
    assert.equal(bob.speak(), undefined);
    assert.equal(alice.media.drops.learning, 5);
    assert.equal(world.sent.length, 0);
  });

  const forged: Record<string, (ends: Credentials) => Uint8Array> = {
    "another password": (ends) => check(ALICE, ends, { password: "another password of 24 c" }),
    "the party's own password": (ends) => check(ALICE, ends, { password: ALICE.password }),
    "another name of ours": (ends) => check(ALICE, { ...ends, ufrag: "someone" }),
    "another name of its own": (ends) => check({ ...ALICE, ufrag: "someone" }, ends),
    "no seal": (ends) => check(ALICE, ends).subarray(0, 20 + 4 + `${ends.ufrag}:${ALICE.ufrag}`.length),
    "an indication": () => indication(),
    "a response to nothing": (ends) => response(check(ALICE, ends), ends),
  };
  for (const [name, make] of Object.entries(forged)) {
    test(`a check with ${name} is not answered, and proves nothing`, () => {
      const one = call();
      const { world, alice, bob } = one;
      bob.talk(3);
      for (const from of [STRANGER, ALICES]) {
        assert.equal(world.arrive(make(lite(one.answer)), from, alice.target), undefined);
        assert.equal(world.arrive(rtp({ ssrc: 1, sequence: 1 }), from, alice.target), undefined);
      }
      assert.equal(world.sent.length, 0);
      assert.equal(alice.place, undefined);
      const { unsealed, malformed } = alice.media.drops;
      assert.equal(unsealed + malformed, 2);
    });
  }

  test("from anywhere, for the password is the proof: a phone that goes through a TURN server", () => {
    const one = call();
    const { world, alice } = one;
    world.arrive(check(ALICE, lite(one.answer)), STRANGER, alice.target);
    assert.equal(told(one).to, formatAddress(STRANGER));
    assert.equal(alice.place, formatAddress(STRANGER));
  });

  test("RFC 8445 §8.1.1: the best that is nominated counts alone", () => {
    const one = call();
    const { world, alice, bob } = one;
    const ends = lite(one.answer);
    bob.talk(3);
    const say = (priority: number, port: number, nominates = true) =>
      world.arrive(check(ALICE, ends, { priority, nominates }), { ...ALICES, port }, alice.target);
    say(200, 61_001, false);
    assert.equal(alice.place, "198.51.100.7:61001", "the first that works, until one is nominated");
    say(100, 61_002);
    assert.equal(alice.place, "198.51.100.7:61002");
    say(300, 61_003, false);
    assert.equal(alice.place, "198.51.100.7:61002");
    say(150, 61_004);
    assert.equal(alice.place, "198.51.100.7:61004");
    say(120, 61_005);
    assert.equal(alice.place, "198.51.100.7:61004");
    assert.equal(world.sent.length, 5, "all are answered");
    const packet = rtp({ ssrc: 5, sequence: 1 });
    assert.equal(world.arrive(packet, { ...ALICES, port: 61_002 }, alice.target), undefined);
    assert.ok(world.arrive(packet, { ...ALICES, port: 61_004 }, alice.target));
    world.pass(1_000);
    say(1, 61_006);
    assert.equal(alice.place, "198.51.100.7:61006", "the other is silent: the phone has moved");
  });

  test("RFC 8445 §6.1.1, RFC 8489 §6.3.1: who would be controlled is told, and who asks what we do not know", () => {
    const one = call();
    const { world, alice } = one;
    const ends = lite(one.answer);
    const asked: [Uint8Array, number][] = [
      [check(ALICE, ends, { isControlled: true }), 487],
      [check(ALICE, ends, { unknown: 0x7f00 }), 420],
    ];
    for (const [request, code] of asked) {
      world.arrive(request, ALICES, alice.target);
      const view = decoded(told(one).data);
      assert.equal(view.class, MessageClass.Error);
      const value = view.bytes(Attribute.ErrorCode) ?? assert.fail();
      assert.equal((value[2] as number) * 100 + (value[3] as number), code);
      assert.ok(hasIntegritySha1(view, testCrypto, testCrypto.importKey(encodeUtf8(ends.password))));
    }
  });

  test("the same name and password as long as the party has its own; others when it begins anew", () => {
    const { world, a, b, alice, bob, answer } = call();
    world.arrive(check(ALICE, lite(answer)), ALICES, alice.target);
    const again = world.forwarded("offer", a, b, alices) && world.forwarded("answer", b, a, plain);
    assert.deepEqual(lite(again), lite(again));
    assert.equal(lite(again).password, lite(answer).password);
    bob.talk(3);
    assert.equal(alice.speak(), formatAddress(BOBS), "what is proven stays");
    const restarted = voiceSdp("192.168.1.5:4000", iceLines({ ufrag: "another", password: ALICE.password }, HOST));
    world.forwarded("offer", a, b, restarted);
    assert.notEqual(lite(world.forwarded("answer", b, a, plain)).password, lite(answer).password);
    assert.equal(alice.speak(), formatAddress(BOBS));
  });

  test("RFC 8839 §4.4: an offer of the other party, which speaks none, goes on with it; and the answer has none", () => {
    const { world, a, b, alice, bob, answer } = call();
    world.arrive(check(ALICE, lite(answer)), ALICES, alice.target);
    const offered = world.forwarded("offer", b, a, plain);
    assert.equal(lite(offered).password, lite(answer).password);
    assert.doesNotMatch(world.forwarded("answer", a, b, alices), /ice-|candidate/);
    bob.talk(3);
    assert.equal(alice.speak(), formatAddress(BOBS));
    world.arrive(check(ALICE, lite(offered)), ALICES, alice.target);
    assert.equal(world.sent.length, 2);
  });

  test("who has not said yet whether it speaks it is offered it, where that is asked for; who does not is as ever", () => {
    const world = new RelayWorld();
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
    const offered = world.forwarded("offer", a, b, plain, true);
    const ends = lite(offered);
    assert.doesNotMatch(world.forwarded("answer", b, a, bobs), /ice|candidate/);
    const bob = new Phone(world, b, formatAddress(BOBS), 2002).hears(offered);
    assert.equal(world.arrive(rtp({ ssrc: 1, sequence: 1 }), BOBS, bob.target), undefined);
    world.arrive(check(BOB, ends), BOBS, bob.target);
    assert.equal(world.sent.length, 1);
    assert.equal(bob.place, formatAddress(BOBS));
    assert.equal(lite(world.forwarded("offer", a, b, plain, true)).password, ends.password, "it goes on");
    world.forwarded("answer", b, a, plain);
    assert.doesNotMatch(world.forwarded("offer", a, b, plain, true), /ice|candidate/);
  });

  test("RFC 3264 §8.4: who holds by 0.0.0.0 holds by direction for who speaks it, and is where it was afterwards", () => {
    const { world, a, b, alice, bob, answer } = call();
    world.arrive(check(ALICE, lite(answer)), ALICES, alice.target);
    bob.talk(3);
    const offered = world.forwarded("offer", b, a, plain.replace("c=IN IP4 192.168.7.9", "c=IN IP4 0.0.0.0"));
    const stream = only(described(offered));
    assert.deepEqual([stream.direction, stream.media?.address], ["sendonly", alice.target]);
    assert.ok(lite(offered));
    world.forwarded("answer", a, b, alices);
    assert.equal(alice.speak(), undefined);
    world.forwarded("offer", b, a, plain);
    world.forwarded("answer", a, b, alices);
    assert.equal(alice.speak(), formatAddress(BOBS));
  });

  test("a call without it hears nothing of it, and STUN is noise there", () => {
    const { world, alice, offer, answer } = call(plain, plain);
    assert.doesNotMatch(offer + answer, /ice|candidate/);
    world.arrive(check(ALICE, BOB), ALICES, alice.target);
    assert.equal(alice.media.drops.malformed, 1);
  });

  test("RFC 8445 §6.1.1: who is a lite agent itself never checks, and is learned as anybody", () => {
    const own = alices.replace("t=0 0", "t=0 0\r\na=ice-lite");
    const { answer, alice, bob } = call(own, plain);
    assert.doesNotMatch(answer, /ice|candidate/);
    bob.talk(3);
    assert.equal(alice.talk(3)[2], formatAddress(BOBS));
  });

  test("it is all that proves a party whose signaling does not: a phone behind another proxy", () => {
    const world = new RelayWorld();
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, ""), world.addLeg(session, "198.51.100.80")];
    world.forwarded("offer", a, b, alices);
    const answer = world.forwarded("answer", b, a, plain);
    const alice = new Phone(world, a, formatAddress(ALICES), 1001).hears(answer);
    world.arrive(check(ALICE, lite(answer)), ALICES, alice.target);
    assert.equal(alice.place, formatAddress(ALICES));
  });

  test("a trunk hears nothing of it", () => {
    const world = new RelayWorld();
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "", { withoutIce: true })];
    assert.doesNotMatch(world.forwarded("offer", a, b, alices), /ice-|candidate|192\.168\.1\.5 4000/);
    lite(world.forwarded("answer", b, a, plain));
    assert.doesNotMatch(
      world.forwarded("offer", b, a, bobs).replace(/a=ice-(lite|ufrag|pwd).*/g, ""),
      /bobsfrag|5000 typ/,
    );
  });
});

suite("where both speak it, it passes", () => {
  const both = () => call(alices, bobs);

  test("each gets the other's candidates and ours, which are the least and the default", () => {
    const { offer, answer, alice, bob } = both();
    const parts = [
      [offer, alices, bob.target],
      [answer, bobs, alice.target],
    ] as const;
    for (const [text, said, ours] of parts) {
      for (const line of said.split("\r\n").filter((one) => /^a=(ice-|candidate)/.test(one))) {
        assert.ok(text.includes(`${line}\r\n`), line);
      }
      assert.doesNotMatch(text, /ice-lite/);
      const { ice, media } = only(described(text));
      assert.deepEqual(media?.address, ours);
      const own = ice?.candidates.filter(({ type }) => type === "relay") ?? [];
      assert.deepEqual(
        own.map(({ component, address }) => [component, formatAddress(address)]),
        [1, 2].map((component) => [component, formatAddress({ ...ours, port: ours.port + component - 1 })]),
      );
      const least = Math.min(...(ice?.candidates ?? []).map(({ priority }) => priority));
      assert.ok(own.every(({ priority }) => priority < least + 2));
      assert.match(text, new RegExp(`c=IN IP4 ${RELAY_4}`));
    }
  });

  test("checks pass as they are, and prove both sides; then media does, to the first packet", () => {
    const { world, alice, bob } = both();
    const first = check(BOB, ALICE);
    assert.equal(world.arrive(first, BOBS, bob.target), undefined, "nobody knows yet where Alice is");
    assert.equal(bob.place, formatAddress(BOBS));
    const request = check(ALICE, BOB, { nominates: true });
    const before = request.slice();
    assert.equal(formatAddress(world.arrive(request, ALICES, alice.target)?.remote ?? STRANGER), formatAddress(BOBS));
    assert.deepEqual(request, before, "byte for byte");
    const back = world.arrive(response(request, BOB), BOBS, bob.target);
    assert.equal(formatAddress(back?.remote ?? STRANGER), formatAddress(ALICES));
    assert.equal(alice.speak(), formatAddress(BOBS));
    assert.equal(bob.speak(), formatAddress(ALICES));
    assert.ok(world.arrive(indication(), ALICES, alice.target));
    assert.deepEqual(world.sent, [], "we say nothing of our own");
    assert.equal(alice.stream().ice, "passes");
  });

  test("what is not sealed for this call goes nowhere", () => {
    const { world, alice, bob } = both();
    world.arrive(check(BOB, ALICE), BOBS, bob.target);
    for (const from of [STRANGER, ALICES]) {
      const bad = [
        check(ALICE, BOB, { password: "another password of 24 c" }),
        check(ALICE, BOB, { password: ALICE.password }),
        check(BOB, ALICE),
        response(check(BOB, ALICE), BOB),
        indication(),
        rtp({ ssrc: 1, sequence: 1 }),
      ];
      for (const data of bad) assert.equal(world.arrive(data, from, alice.target), undefined);
    }
    assert.equal(alice.place, undefined);
    assert.equal(alice.media.drops.unsealed, 10);
  });

  test("one of several sources of a party's checks goes on, so that its answers come back to that one", () => {
    const { world, alice, bob } = both();
    world.arrive(check(BOB, ALICE), BOBS, bob.target);
    assert.ok(world.arrive(check(ALICE, BOB), ALICES, alice.target));
    const other = { ...ALICES, port: 61_001 };
    assert.equal(world.arrive(check(ALICE, BOB), other, alice.target), undefined);
    assert.ok(world.arrive(check(ALICE, BOB, { nominates: true }), other, alice.target));
    assert.equal(alice.place, formatAddress(other));
  });

  test("media that goes direct is no silence, until nobody talks any more; then the call is told", () => {
    const { world } = both();
    world.pass(3 * 3_600_000);
    assert.deepEqual(
      world.events.filter(({ type }) => type === "timeout"),
      [],
    );
    world.pass(3_600_000 + 60_000);
    assert.deepEqual(world.events.flatMap((event) => (event.type === "timeout" ? [event.why] : [])).slice(0, 1), [
      "unseen",
    ]);
  });

  test("RFC 8839 §4.4.1: the offer that tells which pair was chosen changes nothing here", () => {
    const { world, a, b, alice, bob } = both();
    world.arrive(check(BOB, ALICE), BOBS, bob.target);
    world.arrive(check(ALICE, BOB, { nominates: true }), ALICES, alice.target);
    const chosen = iceLines(ALICE, REFLEXIVE);
    const updated = voiceSdp("198.51.100.7:61000", [...chosen, "a=remote-candidates:1 192.168.7.9 5000"]);
    const offered = world.forwarded("offer", a, b, updated);
    assert.doesNotMatch(offered, /remote-candidates/);
    assert.deepEqual(only(described(offered)).media?.address, bob.target);
    world.forwarded("answer", b, a, bobs);
    assert.equal(alice.speak(), formatAddress(BOBS));
    assert.equal(bob.speak(), formatAddress(ALICES));
  });

  test("a lite agent behind the other side answers, and its answers prove it", () => {
    const gateway = bobs.replace("t=0 0", "t=0 0\r\na=ice-lite").replaceAll("192.168.7.9", "198.51.100.80");
    const { world, alice, bob, answer } = call(alices, gateway);
    assert.match(answer, /ice-lite/);
    const request = check(ALICE, BOB, { nominates: true });
    const there = world.arrive(request, ALICES, alice.target);
    assert.equal(formatAddress(there?.remote ?? STRANGER), "198.51.100.80:5000");
    assert.equal(alice.speak(), undefined, "it has not answered yet");
    assert.ok(world.arrive(response(request, BOB), at("198.51.100.80:5000"), bob.target));
    assert.equal(alice.speak(), "198.51.100.80:5000");
  });

  test("RFC 8839 §4.2.1: 0.0.0.0 is no hold where candidates follow", () => {
    const trickled = alices.replaceAll("c=IN IP4 192.168.1.5", "c=IN IP4 0.0.0.0").replace("audio 4000", "audio 9");
    const { world, offer, alice, bob } = call(trickled, bobs);
    assert.match(offer, new RegExp(`c=IN IP4 ${RELAY_4}`));
    world.arrive(check(ALICE, BOB), ALICES, alice.target);
    world.arrive(check(BOB, ALICE), BOBS, bob.target);
    assert.equal(bob.speak(), formatAddress(ALICES));
  });

  test("an answer without it ends it, and a later one may have it again", () => {
    const { world, a, b } = both();
    world.forwarded("offer", a, b, alices);
    lite(world.forwarded("answer", b, a, plain));
    world.forwarded("offer", a, b, alices);
    assert.doesNotMatch(world.forwarded("answer", b, a, bobs), /ice-lite/);
  });
});

test("RFC 8445 §6.1.1: two lite agents check nothing, and are heard as those without ICE are", () => {
  const isLite = (text: string) => text.replace(/^m=/m, "a=ice-lite\r\nm=");
  const host = (address: string) => `1 1 UDP 2130706431 ${address} typ host`;
  const one = isLite(voiceSdp("198.51.100.7:61000", iceLines(ALICE, host("198.51.100.7 61000"))));
  const other = isLite(voiceSdp("198.51.100.80:62000", iceLines(BOB, host("198.51.100.80 62000"))));
  const { alice, bob, answer } = call(one, other);
  assert.doesNotMatch(answer, /ice-|candidate/);
  assert.ok(alice.speak());
  assert.ok(bob.speak());
});
