/** Calls from their first socket to their last: forks, quotas, sockets that cannot be had, silence, the end. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { PosternError } from "../../../src/core/base/failure.ts";
import type { LegId } from "../../../src/core/relay/outputs.ts";
import { parseSdp, type SdpDocument } from "../../../src/core/sdp/document.ts";
import { rtp } from "../rtp/packets.ts";
import { NATED, Phone, PUBLIC, RelayWorld, setUp, voiceSdp } from "./world.ts";

suite("sockets", () => {
  test("a description waits for them, and is forwarded when the last is open", () => {
    const world = new RelayWorld({ isSlow: true });
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
    const result = world.describe("offer", a, b, voiceSdp(NATED.says));
    assert.deepEqual([result(), world.waiting.size], [undefined, 2]);
    const [first] = world.waiting.keys();
    world.bind(first ?? assert.fail());
    world.drain();
    assert.equal(result(), undefined);
    world.bindAll();
    assert.ok(typeof result() === "object");
  });

  test("a port that others hold is replaced with its pair; after twelve the description is refused", () => {
    const world = new RelayWorld({ isSlow: true });
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
    const result = world.describe("offer", a, b, voiceSdp(NATED.says));
    for (let n = 0; n < 3; n++) {
      const before = [...world.waiting.values()].map(({ port }) => port);
      world.failAll("busy");
      const after = [...world.waiting.values()].map(({ port }) => port);
      assert.equal(after.length, 2);
      assert.ok(after.every((port) => !before.includes(port)));
    }
    world.bindAll();
    assert.ok(typeof result() === "object");

    const refused = world.describe("answer", b, a, voiceSdp(PUBLIC.says));
    for (let n = 0; n < 12; n++) world.failAll("busy");
    assert.equal(refused(), "no-ports");
    assert.equal(world.waiting.size, 0);
    world.relay.closeSession(session);
    world.drain();
    assert.deepEqual([world.open.size, world.relay.stats.ports], [0, 0]);
  });

  test("where descriptors are used up it is refused at once, and the other of the pair is given back", () => {
    const world = new RelayWorld({ isSlow: true });
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
    const result = world.describe("offer", a, b, voiceSdp(NATED.says));
    const [first] = world.waiting.keys();
    world.waiting.delete(first ?? assert.fail());
    world.relay.handlePortFailed(first ?? assert.fail(), "exhausted");
    world.drain();
    assert.equal(result(), "no-ports");
    world.bindAll();
    assert.deepEqual([world.open.size, world.relay.stats.ports], [0, 0]);
  });

  test("one that is lost in the middle of a call is told", () => {
    const world = new RelayWorld();
    const { caller, callee } = setUp(world);
    const port = world.portAt(caller.target) ?? assert.fail();
    world.open.delete(port);
    world.relay.handlePortFailed(port, "gone");
    world.drain();
    assert.deepEqual(world.events.at(-1), { type: "port-lost", session: 1, leg: caller.leg, stream: 0 });
    assert.equal(callee.speak(), undefined);
    world.relay.handlePortFailed(port, "gone");
    world.relay.handlePortBound(port, world.now);
    assert.equal(world.arrive(rtp(), caller.from, callee.target), undefined);
  });

  test("numbers nobody knows are nobody's", () => {
    const { relay, now } = new RelayWorld();
    assert.equal(
      relay.handlePacket(rtp(), 172, { family: 4, w0: 0, w1: 0, w2: 0, w3: 1, port: 1, text: "" }, 7, now),
      undefined,
    );
    relay.handlePortBound(7, now);
    relay.handlePortFailed(7, "busy");
    relay.closeLeg(7);
    relay.withdrawOffer(7, 8);
    relay.confirm(7, 8, now);
    assert.equal(relay.pollOutput(), undefined);
    assert.deepEqual([relay.closeSession(7), relay.report(7)], [undefined, undefined]);
  });
});

suite("forks", () => {
  /** A call to three phones, each with its own leg. */
  function fork(world: RelayWorld) {
    const session = world.openSession();
    const a = world.addLeg(session, "198.51.100.7");
    const callees = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((ip, n) => {
      const leg = world.addLeg(session, ip);
      const offered = world.forwarded("offer", a, leg, voiceSdp(NATED.says));
      return { says: `${ip}:5000`, phone: new Phone(world, leg, `${ip}:5000`, 10 + n).hears(offered) };
    });
    const answer = (n: number): string => {
      const { says, phone } = callees[n] ?? assert.fail();
      return world.forwarded("answer", phone.leg, a, voiceSdp(says));
    };
    return { session, a, callees, answer };
  }

  test("two with early media: the caller hears the latest, and whoever takes the call in the end", () => {
    const world = new RelayWorld();
    const { session, a, callees, answer } = fork(world);
    const [one, two] = callees.map(({ phone }) => phone) as [Phone, Phone];
    assert.equal(world.open.size, 6);
    const caller = new Phone(world, a, NATED.from as string, 1).hears(answer(0));
    caller.talk(3);
    assert.deepEqual([one.speak(), two.speak()], [NATED.from, undefined]);
    assert.equal(two.media.drops.idle, 1);
    caller.hears(answer(1));
    assert.deepEqual([one.speak(), two.speak(), caller.speak()], [undefined, NATED.from, "192.0.2.2:5000"]);
    assert.equal(one.media.drops["no-way"], 1);
    answer(0);
    world.relay.confirm(a, one.leg, world.now);
    assert.deepEqual([one.speak(), two.speak(), caller.speak()], [NATED.from, undefined, "192.0.2.1:5000"]);
    answer(1);
    world.relay.confirm(a, two.leg, world.now);
    assert.deepEqual([one.speak(), two.speak()], [NATED.from, undefined], "who comes too late changes nothing");
    for (const { phone } of callees.slice(1)) world.relay.closeLeg(phone.leg);
    world.drain();
    assert.equal(world.open.size, 4);
    assert.equal(one.speak(), NATED.from);
    assert.equal(world.relay.report(session)?.legs.length, 2);
    world.relay.closeLeg(one.leg);
    const [left, ...others] = world.relay.report(session)?.legs ?? [];
    assert.deepEqual([left?.leg, left?.hears, others], [a, undefined, []]);
  });

  test("a caller that prefers the second to answer gets it, once the first is closed", () => {
    const world = new RelayWorld();
    const { a, callees, answer } = fork(world);
    const [one, two] = callees.map(({ phone }) => phone) as [Phone, Phone];
    const caller = new Phone(world, a, NATED.from as string, 1).hears(answer(0));
    answer(1);
    caller.talk(3);
    world.relay.confirm(a, one.leg, world.now);
    world.relay.closeLeg(one.leg);
    world.relay.confirm(a, two.leg, world.now);
    assert.deepEqual([two.speak(), caller.speak()], [NATED.from, "192.0.2.2:5000"]);
  });

  test("one takes RTP and RTCP together, the others not: the caller keeps both until it is settled", () => {
    const world = new RelayWorld();
    const session = world.openSession();
    const a = world.addLeg(session, "198.51.100.7");
    const legs = ["192.0.2.1", "192.0.2.2"].map((ip) => world.addLeg(session, ip)) as [LegId, LegId];
    const mux = ["a=rtcp-mux"];
    for (const leg of legs) world.forwarded("offer", a, leg, voiceSdp(NATED.says, mux));
    world.forwarded("answer", legs[1], a, voiceSdp("192.0.2.2:5000"));
    world.forwarded("answer", legs[0], a, voiceSdp("192.0.2.1:5000", mux));
    assert.equal(world.open.size, 6);
    world.relay.confirm(a, legs[0], world.now);
    world.drain();
    assert.equal(world.open.size, 4, "the other callee's pair is its own until it is closed");
  });

  test("the caller's sockets are the same for all", () => {
    const world = new RelayWorld();
    const { answer } = fork(world);
    const ports = [0, 1, 2].map((n) => /m=audio (\d+)/.exec(answer(n))?.[1]);
    assert.equal(new Set(ports).size, 1);
  });
});

suite("quotas", () => {
  test("calls in all, and of one owner; given back at their end", () => {
    const world = new RelayWorld({ quotas: { sessions: 3, sessionsPerOwner: 2 } });
    const sessions = [world.openSession("a"), world.openSession("a")];
    assert.equal(world.relay.openSession("a", world.now), "owner");
    world.openSession("b");
    assert.equal(world.relay.openSession("c", world.now), "sessions");
    for (const session of sessions) world.relay.closeSession(session);
    world.openSession("a");
    world.openSession("a");
    assert.deepEqual([world.relay.stats.sessions, world.relay.stats.sessionsTotal], [3, 5]);
  });

  test("parties, streams and sockets of a call, sockets in all", () => {
    const world = new RelayWorld({ quotas: { legsPerSession: 2, streams: 3, portsPerSession: 4, ports: 6 } });
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
    const party = { local: PLACE, proven: undefined, ranges: [] };
    assert.equal(world.relay.addLeg(session, party), "legs");
    const streams = (count: number) =>
      voiceSdp(NATED.says, new Array<string>(count - 1).fill("m=video 8000 RTP/AVP 96"));
    assert.equal(world.describe("offer", a, b, streams(4))(), "too-many-streams");
    assert.equal(world.describe("offer", a, b, streams(3))(), "port-quota");
    world.relay.closeSession(session);
    world.drain();
    assert.equal(world.open.size, 0);

    setUp(world);
    const other = world.openSession();
    const [c, d] = [world.addLeg(other, "198.51.100.7"), world.addLeg(other, "198.51.100.80")];
    world.forwarded("offer", c, d, voiceSdp(NATED.says));
    assert.equal(world.describe("answer", d, c, voiceSdp(PUBLIC.says))(), "port-quota");
  });

  test("ports of the range: the call that gets none is told", () => {
    const world = new RelayWorld({ config: { ports: { min: 40_000, max: 40_003 } } });
    setUp(world);
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
    assert.equal(world.describe("offer", a, b, voiceSdp(NATED.says))(), "no-ports");
  });

  test("what the caller of the machine gets wrong is told to it", () => {
    const world = new RelayWorld();
    const { session, caller } = setUp(world);
    const stranger = world.addLeg(world.openSession(), "192.0.2.1");
    const document = parseSdp(voiceSdp(NATED.says)) as SdpDocument;
    const ask = (to: LegId) => () =>
      world.relay.describe({ request: 9, from: caller.leg, to, role: "offer", document }, world.now);
    const is = (code: string) => (error: unknown) => error instanceof PosternError && error.code === code;
    assert.throws(ask(stranger), is("not-two-parties"));
    assert.throws(ask(caller.leg), is("not-two-parties"));
    world.relay.closeSession(session);
    assert.throws(
      () => world.relay.addLeg(session, { local: PLACE, proven: undefined, ranges: [] }),
      is("no-such-session"),
    );
    ask(stranger)();
    world.drain();
    assert.equal(world.results.get(9), "gone");
  });
});

const PLACE = { family: 4, w0: 0, w1: 0, w2: 0, w3: 0, port: 0, text: "" } as const;

suite("silence", () => {
  const timeouts = (world: RelayWorld) =>
    world.events.flatMap((event) => (event.type === "timeout" ? [event.why] : []));

  test("a minute without a packet of either side is told, and again each minute", () => {
    const world = new RelayWorld();
    const { caller, session } = setUp(world);
    caller.talk(3);
    world.pass(59_999);
    assert.deepEqual(timeouts(world), []);
    world.pass(1);
    assert.deepEqual(timeouts(world), ["silent"]);
    world.pass(60_000);
    assert.deepEqual(timeouts(world), ["silent", "silent"]);
    world.relay.closeSession(session);
    assert.equal(world.relay.pollTimeout(), undefined);
  });

  test("one side is enough; RTCP too", () => {
    const world = new RelayWorld();
    const { caller, callee } = setUp(world);
    caller.talk(3);
    for (let n = 0; n < 20; n++) {
      world.pass(20_000);
      if (n % 2 === 0) caller.speak();
      else callee.report();
    }
    assert.deepEqual(timeouts(world), []);
  });

  test("what strangers send is no sign of life", () => {
    const world = new RelayWorld();
    const { caller } = setUp(world);
    caller.from = { ...caller.from, w3: 1 };
    for (let n = 0; n < 70; n++) {
      world.pass(1_000);
      caller.speak();
    }
    assert.deepEqual(timeouts(world), ["silent"]);
  });

  test("who holds may be silent; afterwards the minute begins anew", () => {
    const world = new RelayWorld();
    const { caller, callee } = setUp(world);
    for (const [says, more] of [
      [NATED.says, ["a=inactive"]],
      [NATED.says, ["a=sendonly"]],
      ["0.0.0.0:4000", []],
    ] as const) {
      world.forwarded("offer", caller.leg, callee.leg, voiceSdp(says, more));
      world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
      world.pass(590_000);
      assert.deepEqual(timeouts(world), []);
    }
    world.forwarded("offer", caller.leg, callee.leg, voiceSdp(NATED.says));
    world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
    world.pass(59_999);
    assert.deepEqual(timeouts(world), []);
    world.pass(60_001);
    assert.equal(timeouts(world)[0], "silent");
  });

  test("a hold that nobody ends is told after four hours: its phones are gone", () => {
    const world = new RelayWorld();
    const { caller, callee } = setUp(world);
    world.forwarded("offer", caller.leg, callee.leg, voiceSdp(NATED.says, ["a=sendonly"]));
    world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says, ["a=recvonly"]));
    world.pass(14_399_999);
    assert.deepEqual(timeouts(world), []);
    world.pass(60_001);
    assert.equal(timeouts(world)[0], "unseen");
  });

  test("a call that is never answered is told after ten minutes", () => {
    const world = new RelayWorld();
    world.openSession();
    world.pass(599_999);
    assert.deepEqual(timeouts(world), []);
    world.pass(1);
    assert.deepEqual(timeouts(world), ["unconfirmed"]);
  });
});

suite("the record", () => {
  test("packets and bytes both ways, what was lost, how even it was, where everybody is", () => {
    const world = new RelayWorld();
    const { session, caller, callee } = setUp(world);
    caller.talk(12);
    caller.sequence += 3;
    caller.talk(1);
    callee.talk(4);
    const report = world.relay.closeSession(session);
    // What was forwarded without the relay is told when it is taken back.
    world.drain();
    const [a, b] = (report ?? assert.fail()).legs;
    const [one, other] = [a?.streams[0] ?? assert.fail(), b?.streams[0] ?? assert.fail()];
    assert.deepEqual([a?.hears, b?.hears], [b?.leg, a?.leg]);
    assert.deepEqual([one.kind, one.lost, one.media.by, other.media.by], ["audio", 3, "learned", "learned"]);
    assert.deepEqual([one.media.packetsIn, one.media.bytesIn], [11, 11 * 172]);
    assert.deepEqual([other.media.packetsOut, one.media.packetsOut], [11, 4]);
    assert.ok(one.jitter < 4);
    assert.deepEqual([one.media.heardAt, other.control?.heardAt], [world.now - 80, undefined]);
    assert.equal(world.relay.stats.packets, 15);
    world.drain();
    assert.deepEqual([world.open.size, world.relay.stats.ports, world.relay.stats.sessions], [0, 0, 0]);
  });

  test("a report is of its moment", () => {
    const world = new RelayWorld();
    const { session, caller } = setUp(world);
    caller.speak();
    const before = world.relay.report(session);
    caller.speak();
    assert.equal(before?.legs[0]?.streams[0]?.media.drops.learning, 1);
    assert.equal(caller.media.drops.learning, 2);
  });

  test("a packet's route is an object that exists: the same for every packet", () => {
    const world = new RelayWorld();
    const { caller } = setUp(world);
    caller.talk(3);
    const routes = new Set(
      Array.from({ length: 100 }, (_, n) => world.arrive(rtp({ sequence: n }), caller.from, caller.target)),
    );
    assert.equal(routes.size, 1);
  });
});
