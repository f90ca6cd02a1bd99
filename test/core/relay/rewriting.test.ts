/** The descriptions that each party gets. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import type { LegId, SessionId } from "../../../src/core/relay/outputs.ts";
import type { SdpDocument } from "../../../src/core/sdp/document.ts";
import { described } from "../call/descriptions.ts";
import { oracle } from "../sdp/oracle.ts";
import { BROWSER, CARELESS, PHONE } from "../sdp/samples.ts";
import { at, NATED, Phone, PUBLIC, prefix, RELAY_4, RELAY_6, RelayWorld, setUp, voiceSdp } from "./world.ts";

interface Two {
  readonly world: RelayWorld;
  readonly session: SessionId;
  readonly a: LegId;
  readonly b: LegId;
}

function two(other = "198.51.100.80"): Two {
  const world = new RelayWorld();
  const session = world.openSession();
  return { world, session, a: world.addLeg(session, "198.51.100.7"), b: world.addLeg(session, other) };
}

/** Lines that differ, `-` of the first, `+` of the second. */
function difference(before: string, after: string): string[] {
  const [one, other] = [before.split(/\r?\n/), after.split(/\r?\n/)];
  return [
    ...one.filter((line) => !other.includes(line)).map((line) => `-${line}`),
    ...other.filter((line) => !one.includes(line)).map((line) => `+${line}`),
  ];
}

function masked(lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(/\b40\d{3}\b/g, "PORT"));
}

test("c=, ports and a=rtcp are ours, everything else is as it came", () => {
  const { world, a, b } = two();
  assert.deepEqual(masked(difference(PHONE, world.forwarded("offer", a, b, PHONE))), [
    "-c=IN IP4 10.0.0.5",
    "-m=audio 49170 RTP/AVP 0 8 101",
    "-m=video 51372 RTP/AVP 96",
    "-c=IN IP4 10.0.0.6",
    "-a=rtcp:53020 IN IP4 10.0.0.7",
    `+c=IN IP4 ${RELAY_4}`,
    "+m=audio PORT RTP/AVP 0 8 101",
    "+m=video PORT RTP/AVP 96",
    `+c=IN IP4 ${RELAY_4}`,
    `+a=rtcp:PORT IN IP4 ${RELAY_4}`,
  ]);
});

test("RFC 3550 §11: every stream has an even port and the next, and each party its own", () => {
  const { world, a, b } = two();
  const ports = [world.forwarded("offer", a, b, PHONE), world.forwarded("answer", b, a, PHONE)].flatMap((text) =>
    described(text).streams.flatMap(({ media, control }) => [media?.port ?? 0, control?.port ?? 0]),
  );
  assert.equal(new Set(ports).size, 8);
  for (let n = 0; n < 8; n += 2) {
    assert.equal((ports[n] as number) % 2, 0);
    assert.equal(ports[n + 1], (ports[n] as number) + 1);
  }
  const bound = [...world.open.values()].map(({ port }) => port).sort();
  assert.deepEqual(bound, ports.sort());
});

test("another parser reads what is forwarded, with the careless one's line ends", () => {
  const { world, a, b } = two();
  const text = world.forwarded("offer", a, b, CARELESS);
  assert.ok(!text.includes("\r"));
  assert.deepEqual(masked(difference(CARELESS, text)), [
    "-c=IN IP4 192.0.2.1",
    "-m=audio 4000 RTP/AVP 0",
    `+c=IN IP4 ${RELAY_4}`,
    "+m=audio PORT RTP/AVP 0",
  ]);
  assert.equal(oracle.parse(text).media[0]?.port, described(text).streams[0]?.media?.port);
});

test("bundles end here, and so does ICE that is half said", () => {
  const { world, a, b } = two();
  const text = world.forwarded(
    "offer",
    a,
    b,
    BROWSER.replaceAll("0.0.0.0", "198.51.100.7")
      .replace("a=mid:0", "a=mid:0\r\na=bundle-only")
      .replace(/a=ice-pwd.*\r\n/, ""),
  );
  assert.ok(!/ice-|candidate|BUNDLE|bundle-only/.test(text), text);
  assert.ok(text.includes("a=fingerprint:") && text.includes("a=mid:0") && text.includes("a=rtcp-mux"));
  const [stream] = described(text).streams;
  assert.deepEqual(stream?.control, stream?.media, "a=rtcp names the port of RTP, as it did");
});

test("a stream without any c= gets one", () => {
  const { world, a, b } = two();
  const text = world.forwarded("offer", a, b, "v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n");
  assert.equal(described(text).streams[0]?.media?.host, RELAY_4);
});

test("IPv4 on one side, IPv6 on the other: each gets its own, and packets cross", () => {
  const other = { says: "[2001:db8:5::1]:5000", proven: "2001:db8:5::1" };
  const world = new RelayWorld();
  const { caller, callee } = setUp(world, NATED, other);
  assert.deepEqual([caller.target.family, callee.target.family], [4, 6]);
  assert.equal(formatAddress(callee.target).startsWith(`[${RELAY_6}]`), true);
  assert.deepEqual(caller.talk(3), [undefined, undefined, "[2001:db8:5::1]:5000"]);
  assert.deepEqual(callee.talk(1), [NATED.from]);
  const held = world.forwarded("offer", caller.leg, callee.leg, voiceSdp("0.0.0.0:4000"));
  assert.ok(held.includes("c=IN IP6 ::\r\n"), held);
});

test("RFC 8866 §5.2: o= has the family of its receiver, and is the same in every offer of the call", () => {
  const world = new RelayWorld();
  const { caller, callee } = setUp(world, NATED, { says: "[2001:db8:5::1]:5000", proven: "2001:db8:5::1" });
  const origin = (version: number) => {
    const offer = voiceSdp("10.0.0.5:4000").replace(/^o=.*$/m, `o=alice 7 ${version} IN IP4 10.0.0.5`);
    return /^o=.*$/m.exec(world.forwarded("offer", caller.leg, callee.leg, offer))?.[0].trimEnd();
  };
  assert.deepEqual([origin(1), origin(2)], [`o=alice 7 1 IN IP6 ${RELAY_6}`, `o=alice 7 2 IN IP6 ${RELAY_6}`]);
});

test("a family that the relay has no address of, or that the party asks for", () => {
  const world = new RelayWorld({
    config: { addresses: [{ bound: at("10.0.0.2:0"), advertised: at("203.0.113.1:0") }] },
  });
  const session = world.openSession();
  const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "2001:db8:5::1")];
  assert.equal(world.describe("offer", a, b, voiceSdp(NATED.says))(), "no-address");
  const c = world.addLeg(session, "2001:db8:5::1", { family: 4 });
  const text = world.forwarded("offer", a, c, voiceSdp(NATED.says));
  assert.ok(text.includes("c=IN IP4 203.0.113.1\r\n"), "what is told is the outside of a 1:1 NAT");
  assert.ok([...world.open.values()].every((bound) => formatAddress(bound).startsWith("10.0.0.2:")));
});

suite("streams", () => {
  const FAX = "m=image 6000 udptl t38\r\na=T38FaxVersion:0\r\n";

  test("T.38 passes by its own numbers, on one socket", () => {
    const { world, session, a, b } = two();
    const head = voiceSdp("192.168.1.5:4000").replace(/m=audio.*/s, "");
    const offered = world.forwarded("offer", a, b, head + FAX);
    const answered = world.forwarded("answer", b, a, head.replaceAll("192.168.1.5", "198.51.100.80") + FAX);
    world.relay.confirm(a, b, world.now);
    assert.equal(world.open.size, 2);
    const [one, other] = [
      new Phone(world, a, "198.51.100.7:61000", 1).hears(answered),
      new Phone(world, b, "198.51.100.80:6000", 2).hears(offered),
    ];
    const packet = (n: number) => Uint8Array.of(n >> 8, n, 1, 2, 3);
    const sent = [5, 6, 7, 8].map((n) => world.arrive(packet(n), one.from, one.target)?.remote.port);
    assert.deepEqual(sent, [undefined, undefined, 6000, 6000]);
    assert.equal(world.arrive(packet(1), other.from, other.target)?.remote.port, 61_000);
    const report = world.relay.report(session);
    assert.equal(report?.legs[0]?.streams[0]?.kind, "image");
  });

  test("what nobody knows over UDP passes by address too; what runs over TCP is refused, on both sides", () => {
    const { world, a, b } = two();
    const more = ["m=application 9000 UDP/BFCP *", "m=message 2855 TCP/MSRP *"];
    const offered = described(world.forwarded("offer", a, b, voiceSdp(PUBLIC.says, more)));
    assert.deepEqual(
      offered.streams.map(({ isRefused }) => isRefused),
      [false, false, true],
    );
    const answered = world.forwarded("answer", b, a, voiceSdp("198.51.100.80:5000", more));
    assert.deepEqual(
      described(answered).streams.map(({ isRefused }) => isRefused),
      [false, false, true],
    );
    const phone = new Phone(world, a, "198.51.100.80:9000", 1).hears(answered, 1);
    const sent = (from: string) => world.arrive(Uint8Array.of(1), at(from), phone.target)?.remote.port;
    assert.equal(sent("198.51.100.7:9000"), undefined, "its description is public, and names another");
    assert.deepEqual(
      ["1", "1", "1", "1"].map((port) => sent(`198.51.100.80:${port}`)),
      [undefined, undefined, 9000, 9000],
    );
    assert.equal(sent("198.51.100.80:9000"), undefined, "another port is the one that was proven");
  });

  test("an answer that refuses one gives its sockets back on both sides; they come again with the next offer", () => {
    const { world, a, b } = two();
    const video = "m=video 8000 RTP/AVP 96";
    const both = voiceSdp(PUBLIC.says, [video]);
    world.forwarded("offer", a, b, both);
    assert.equal(world.open.size, 4);
    const answer = world.forwarded("answer", b, a, voiceSdp(PUBLIC.says, ["m=video 0 RTP/AVP 96"]));
    assert.equal(described(answer).streams[1]?.isRefused, true);
    assert.equal(world.open.size, 4, "voice has four");
    world.forwarded("offer", a, b, both);
    world.forwarded("answer", b, a, both);
    assert.equal(world.open.size, 8);
    world.forwarded("offer", b, a, voiceSdp(PUBLIC.says, ["m=video 0 RTP/AVP 96"]));
    world.forwarded("answer", a, b, voiceSdp(PUBLIC.says, ["m=video 0 RTP/AVP 96"]));
    assert.equal(world.open.size, 4);
  });

  test("an offer that is refused gives back what only it wanted", () => {
    const { caller, callee } = setUp(new RelayWorld());
    const { world } = caller;
    world.forwarded("offer", caller.leg, callee.leg, voiceSdp(NATED.says, ["m=video 8000 RTP/AVP 96"]));
    assert.equal(world.open.size, 6);
    world.relay.withdrawOffer(caller.leg, callee.leg);
    world.drain();
    assert.equal(world.open.size, 4);
    assert.equal(caller.talk(3)[2], PUBLIC.says);
  });

  test("one that is added later gets sockets of its own, and the first keeps what it has learned", () => {
    const { caller, callee } = setUp(new RelayWorld());
    const { world } = caller;
    caller.talk(3);
    const before = formatAddress(caller.target);
    const more = ["m=video 8000 RTP/AVP 96"];
    const offered = world.forwarded("offer", caller.leg, callee.leg, voiceSdp(NATED.says, more));
    const answered = world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says, more));
    assert.equal(formatAddress(caller.hears(answered).target), before);
    assert.equal(callee.speak(), NATED.from);
    const video = new Phone(world, callee.leg, "198.51.100.80:8000", 9).hears(offered, 1);
    assert.deepEqual(video.talk(1, { payloadType: 96 }), [undefined], "nobody knows where the caller's is");
    caller.hears(answered, 1);
    caller.from = at("198.51.100.7:61010");
    assert.deepEqual(caller.talk(3, { payloadType: 96 }), [undefined, undefined, "198.51.100.80:8000"]);
    assert.deepEqual(video.talk(1, { payloadType: 96 }), ["198.51.100.7:61010"]);
  });

  test("a fax that takes the place of the voice on the same port needs not be learned again", () => {
    const { caller, callee } = setUp(new RelayWorld());
    const { world } = caller;
    caller.talk(3);
    const fax = (where: string) =>
      voiceSdp(where).replace(/m=audio (\d+) RTP\/AVP 0 101.*/s, "m=image $1 udptl t38\r\n");
    world.forwarded("offer", caller.leg, callee.leg, fax(NATED.says));
    caller.hears(world.forwarded("answer", callee.leg, caller.leg, fax(PUBLIC.says)));
    assert.equal(world.arrive(Uint8Array.of(0, 1, 9), caller.from, caller.target)?.remote.port, 5000);
  });
});

suite("hold", () => {
  test("RFC 3264 §8.4: by direction: it is said, and what is known stays", () => {
    const { caller, callee } = setUp(new RelayWorld());
    const { world } = caller;
    caller.talk(3);
    const offered = world.forwarded("offer", caller.leg, callee.leg, voiceSdp(NATED.says, ["a=sendonly"]));
    assert.ok(offered.includes("a=sendonly\r\n") && offered.includes(`c=IN IP4 ${RELAY_4}`));
    world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says, ["a=recvonly"]));
    assert.equal(caller.speak(), PUBLIC.says, "its music passes");
    assert.equal(caller.stream().isHeld, true);
    world.forwarded("offer", caller.leg, callee.leg, voiceSdp(NATED.says));
    world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
    assert.equal(callee.speak(), NATED.from);
    assert.equal(caller.stream().isHeld, false);
  });

  test("RFC 2543 §B.5: by 0.0.0.0: it stays 0.0.0.0, nothing is sent, and after it all is as before", () => {
    const { caller, callee } = setUp(new RelayWorld());
    const { world } = caller;
    caller.talk(3);
    const offered = world.forwarded("offer", caller.leg, callee.leg, voiceSdp("0.0.0.0:4000"));
    assert.ok(offered.includes("c=IN IP4 0.0.0.0\r\n"));
    assert.equal(described(offered).streams[0]?.isRefused, false);
    world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
    assert.equal(callee.speak(), undefined);
    world.forwarded("offer", caller.leg, callee.leg, voiceSdp(NATED.says));
    world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
    assert.equal(callee.speak(), NATED.from);
  });
});

test("a late offer: the callee offers, the caller answers", () => {
  const { world, a, b } = two();
  const offered = world.forwarded("offer", b, a, voiceSdp(PUBLIC.says));
  const answered = world.forwarded("answer", a, b, voiceSdp(NATED.says));
  world.relay.confirm(a, b, world.now);
  const caller = new Phone(world, a, NATED.from as string, 1).hears(offered);
  const callee = new Phone(world, b, PUBLIC.says, 2).hears(answered);
  assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
  assert.equal(callee.speak(), NATED.from);
});

suite("RFC 5761 §5.1.1: RTP and RTCP on one port", () => {
  const mux = ["a=rtcp-mux"];

  test("both want it: the callee's second socket goes once that is agreed, and does not come again", () => {
    const { world, a, b } = two();
    world.forwarded("offer", a, b, voiceSdp(PUBLIC.says, mux));
    assert.equal(world.open.size, 2);
    world.forwarded("answer", b, a, voiceSdp(PUBLIC.says, mux));
    assert.equal(world.open.size, 2, "one for each");
    world.forwarded("offer", b, a, voiceSdp(PUBLIC.says, mux));
    assert.equal(world.open.size, 2);
  });

  test("the callee does not: both have two", () => {
    const { world, a, b } = two();
    world.forwarded("offer", a, b, voiceSdp(PUBLIC.says, mux));
    world.forwarded("answer", b, a, voiceSdp(PUBLIC.says));
    assert.equal(world.open.size, 4);
  });

  test("RFC 3605 §2.1: given up later, when the next port is somebody else's: a=rtcp says where, media stays", () => {
    const world = new RelayWorld({ isSlow: true });
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
    const text = (result: () => SdpDocument | string | undefined): string => {
      world.bindAll();
      const document = result();
      assert.ok(typeof document === "object");
      return document.format();
    };
    text(world.describe("offer", a, b, voiceSdp(PUBLIC.says, mux)));
    const answer = text(world.describe("answer", b, a, voiceSdp(PUBLIC.says, mux)));
    const at0 = described(answer).streams[0]?.media?.port ?? assert.fail();
    const offer = world.describe("offer", b, a, voiceSdp(PUBLIC.says));
    assert.deepEqual(
      [...world.waiting.values()].map(({ port }) => port),
      [at0 + 1],
    );
    world.failAll("busy");
    const [stream] = described(text(offer)).streams;
    assert.equal(stream?.media?.port, at0);
    const control = stream?.control?.port ?? assert.fail();
    assert.ok(control !== at0 + 1 && [...world.open.values()].some(({ port }) => port === control));
  });
});

suite("a call that a trunk sends back to us, with our own address in it", () => {
  /** The caller's call to the trunk, and the trunk's to the callee: neither description is changed by the trunk. */
  function spiral(world: RelayWorld): { caller: Phone; callee: Phone; sessions: readonly SessionId[] } {
    const trunk = { ranges: [prefix("192.0.2.0/24")] };
    const [first, second] = [world.openSession(), world.openSession()];
    const [a, out] = [world.addLeg(first, "198.51.100.7"), world.addLeg(first, "", trunk)];
    const [back, b] = [world.addLeg(second, "", trunk), world.addLeg(second, "198.51.100.80")];
    const toTrunk = world.forwarded("offer", a, out, voiceSdp(NATED.says));
    const toCallee = world.forwarded("offer", back, b, toTrunk);
    const fromSecond = world.forwarded("answer", b, back, voiceSdp(PUBLIC.says));
    const toCaller = world.forwarded("answer", out, a, fromSecond);
    const caller = new Phone(world, a, NATED.from as string, 1).hears(toCaller);
    return { caller, callee: new Phone(world, b, PUBLIC.says, 2).hears(toCallee), sessions: [first, second] };
  }

  for (const isBehindNat of [false, true]) {
    test(`packets pass from call to call within the relay${isBehindNat ? ", behind a 1:1 NAT too" : ""}`, () => {
      const bound = at(isBehindNat ? "10.0.0.2:0" : `${RELAY_4}:0`);
      const place = { bound, advertised: at(`${RELAY_4}:0`) };
      const world = new RelayWorld({ config: { addresses: [place] } });
      const { caller, callee, sessions } = spiral(world);
      for (const phone of [caller, callee]) phone.target = { ...bound, port: phone.target.port };
      assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
      assert.deepEqual([callee.speak(), callee.report()], [NATED.from, undefined]);
      assert.equal(caller.report(), "198.51.100.80:5001");
      const [, out] = world.relay.report(sessions[0] as SessionId)?.legs ?? [];
      assert.deepEqual([out?.streams[0]?.media.packetsIn, out?.streams[0]?.media.by], [1, "signaled"]);
      world.relay.closeSession(sessions[1] as SessionId);
      world.drain();
      assert.equal(caller.speak(), undefined);
    });
  }

  test("who names a port of others' call, and is not named by it, reaches nobody", () => {
    const world = new RelayWorld();
    const { caller, callee } = setUp(world);
    caller.talk(3);
    const says = formatAddress(callee.target);
    const thief = setUp(world, { says: "192.0.2.66:4000", proven: "192.0.2.66" }, { says, proven: "192.0.2.66" });
    assert.deepEqual(thief.caller.talk(5), new Array<undefined>(5).fill(undefined));
    assert.deepEqual(callee.talk(1), [NATED.from]);
    assert.equal(caller.speak(), PUBLIC.says);
  });

  for (const [calls, isCarried] of [
    [5, true],
    [6, false],
  ] as const) {
    test(`${calls} calls in a row: ${isCarried ? "carried" : "somebody makes us work for nothing"}`, () => {
      const world = new RelayWorld();
      const legs = Array.from({ length: calls }, () => {
        const session = world.openSession();
        return [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.7")] as const;
      });
      let text = voiceSdp(NATED.says);
      for (const [from, to] of legs) text = world.forwarded("offer", from, to, text);
      text = voiceSdp(PUBLIC.says);
      for (const [to, from] of legs.toReversed()) text = world.forwarded("answer", from, to, text);
      const caller = new Phone(world, legs[0]?.[0] ?? assert.fail(), NATED.from as string, 1).hears(text);
      assert.equal(caller.talk(3)[2], isCarried ? PUBLIC.says : undefined);
    });
  }
});

test("media ranges and prefixes of a trunk do not show in what it is told", () => {
  const { world, session, a } = two();
  const trunk = world.addLeg(session, "", { ranges: [prefix("203.0.113.64/26")] });
  const text = world.forwarded("offer", a, trunk, voiceSdp(NATED.says));
  assert.ok(text.includes(`c=IN IP4 ${RELAY_4}`));
});
