/** When media may be forwarded without the relay, when it is taken back, and that nothing is different otherwise. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { SessionReport } from "../../../src/core/relay/report.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { rtcp, rtp } from "../rtp/packets.ts";
import { type Call, NATED, Phone, PUBLIC, RelayWorld, setUp, voiceSdp } from "./world.ts";

/** Both are known, and what both say is forwarded. */
function settled(world = new RelayWorld({ offloads: true })): Call {
  const call = setUp(world);
  for (let n = 0; n < 30; n++) {
    call.caller.talk(1);
    call.callee.speak();
  }
  assert.equal(flows(call), 2);
  return call;
}

function flows({ caller }: Call): number {
  return caller.world.forwarder?.size ?? 0;
}

/** An offer of the caller and its answer, with these directions. */
function renegotiate({ caller, callee }: Call, offered: string, answered: string): void {
  const { world } = caller;
  world.forwarded("offer", caller.leg, callee.leg, voiceSdp(NATED.says, [`a=${offered}`]));
  world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says, [`a=${answered}`]));
}

suite("media is left to others", () => {
  test("when ten packets went on as those before, and not sooner", () => {
    const world = new RelayWorld({ offloads: true, config: { settledAfter: 10 } });
    const call = setUp(world);
    call.caller.talk(3); // The third proves the port; the relay knows its source by it.
    call.caller.talk(9);
    assert.equal(flows(call), 0);
    call.caller.talk(1);
    assert.equal(flows(call), 1);
    assert.equal(world.forwarder?.packets, 0);
    call.caller.talk(5);
    assert.deepEqual([world.forwarder?.packets, call.callee.media.packetsOut], [5, 16]);
  });

  test("of a call that is answered alone", () => {
    const world = new RelayWorld({ offloads: true });
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, NATED.proven), world.addLeg(session, PUBLIC.proven)];
    world.forwarded("offer", a, b, voiceSdp(NATED.says));
    const answered = world.forwarded("answer", b, a, voiceSdp(PUBLIC.says));
    const caller = new Phone(world, a, NATED.from ?? "", 1).hears(answered);
    caller.talk(20);
    assert.equal(world.forwarder?.size, 0);
    world.relay.confirm(a, b, world.now);
    caller.talk(20);
    assert.equal(world.forwarder?.size, 1);
  });

  for (const [offered, answered, left] of [
    ["sendrecv", "sendrecv", 2],
    ["sendonly", "recvonly", 1],
    ["recvonly", "sendonly", 1],
    ["inactive", "inactive", 0],
  ] as const) {
    test(`that both want to go that way: ${offered}, ${answered}`, () => {
      const call = settled();
      renegotiate(call, offered, answered);
      assert.equal(flows(call), 0, "what has changed is seen again");
      for (let n = 0; n < 12; n++) {
        call.caller.talk(1);
        call.callee.speak();
      }
      assert.equal(flows(call), left);
    });
  }

  test("and never to or from 0.0.0.0, where a party holds as of old", () => {
    const call = settled();
    const { caller, callee } = call;
    const held = voiceSdp(NATED.says).replace(/c=IN IP4 \S+/, "c=IN IP4 0.0.0.0");
    caller.world.forwarded("offer", caller.leg, callee.leg, held);
    caller.world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
    caller.talk(20);
    callee.talk(20);
    assert.equal(flows(call), 0);
  });

  test("but an echo's is not", () => {
    const world = new RelayWorld({ offloads: true });
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, NATED.proven), world.addLeg(session, "192.0.2.1", { service: "echo" })];
    world.forwarded("offer", a, b, voiceSdp(NATED.says));
    const answered = world.forwarded("answer", b, a, voiceSdp("192.0.2.1:9000"));
    world.relay.confirm(a, b, world.now);
    const caller = new Phone(world, a, NATED.from ?? "", 1).hears(answered);
    caller.talk(20);
    assert.equal(caller.place, NATED.from);
    assert.equal(world.forwarder?.size, 0);
  });
});

suite("it is taken back", () => {
  test("by another source, and left again when that has spoken for twice as long, then four times", () => {
    const call = settled();
    const { caller } = call;
    for (const patience of [2, 4, 8]) {
      caller.ssrc++;
      assert.equal(caller.talk(1)[0], PUBLIC.says, "it is carried all the same");
      assert.equal(flows(call), 1);
      caller.talk(patience - 1);
      assert.equal(flows(call), 1);
      caller.talk(1);
      assert.equal(flows(call), 2);
    }
  });

  test("by a leap of its numbers, and not by a late one", () => {
    const call = settled();
    const { caller } = call;
    caller.sequence -= 50;
    caller.talk(1);
    caller.sequence += 51;
    assert.equal(flows(call), 2);
    caller.sequence += 3_001;
    caller.talk(1);
    assert.deepEqual([flows(call), caller.stream().lost], [1, 0]);
  });

  test("not by reports, by types that nobody has agreed on, or by strangers", () => {
    const call = settled(new RelayWorld({ offloads: true, config: { settledAfter: 10 } }));
    const { caller, callee } = call;
    const { world } = caller;
    caller.report();
    assert.equal(callee.speak({ payloadType: 77 }), NATED.from, "it goes up, and is carried");
    world.arrive(rtcp(caller.ssrc), caller.from, caller.target);
    const stranger = new Phone(world, caller.leg, "192.0.2.13:4000", caller.ssrc);
    stranger.target = caller.target;
    stranger.talk(30);
    const neighbour = new Phone(world, caller.leg, "198.51.100.7:4000", caller.ssrc);
    neighbour.target = caller.target;
    neighbour.sequence = caller.sequence;
    neighbour.talk(1);
    assert.equal(flows(call), 2);
  });

  test("where the party's signaling comes from another port, so that its media may, too", () => {
    const call = settled();
    const { caller } = call;
    caller.world.relay.handleFlowChanged(caller.leg, { ...caller.from, port: 6_000 });
    caller.world.drain();
    assert.equal(flows(call), 0);
    caller.talk(2);
    assert.equal(flows(call), 1, "it is where it was");
  });

  test("both ways, where one phone gives way to another", () => {
    const call = settled();
    const { world, leg } = call.callee;
    world.relay.closeLeg(leg);
    assert.deepEqual(
      [0, 1].map(() => world.relay.pollOutput()?.kind),
      ["withdraw", "withdraw"],
    );
  });

  test("where a packet that should have been forwarded comes up again and again", () => {
    const call = settled();
    const { world, from, target, ssrc } = call.caller;
    const port = world.portAt(target) ?? assert.fail();
    const comesUp = (sequence: number) => {
      const data = rtp({ ssrc, sequence });
      assert.ok(world.relay.handlePacket(data, data.length, from, port, world.now));
      world.drain();
    };
    // What waited in the queue of its socket when the others were left to the kernel.
    for (let n = 1; n <= 30; n++) comesUp(call.caller.sequence + n);
    assert.equal(flows(call), 2);
    // As where the kernel has forgotten the flow.
    world.pass(3_000);
    comesUp(call.caller.sequence + 31);
    assert.equal(flows(call), 1);
  });

  test("by the call's end, and its record then tells of everything", () => {
    const call = settled();
    const { world } = call.caller;
    call.caller.talk(100);
    call.caller.sequence += 7;
    call.caller.talk(1);
    const [heardAt, before] = [world.now, call.callee.media.packetsOut];
    for (let n = 0; n < 5; n++) call.caller.speak();
    const report = world.relay.closeSession(call.session) ?? assert.fail();
    assert.equal(report.legs[1]?.streams[0]?.media.packetsOut, before, "what was not told yet");
    world.drain();
    const [sent, heard] = report.legs.map(({ streams }) => streams[0] ?? assert.fail()) as [never, never];
    const { lost, payloadType, media } = sent as SessionReport["legs"][number]["streams"][number];
    assert.deepEqual([lost, payloadType, media.heardAt], [7, 0, heardAt]);
    assert.equal((heard as SessionReport["legs"][number]["streams"][number]).media.packetsOut, before + 5);
    assert.equal(report.mediaAt, heardAt);
  });
});

suite("another port of the party's address", () => {
  test("is not learned while the party speaks, though nobody has told so for seconds", () => {
    const call = settled();
    const { caller } = call;
    const { world } = caller;
    caller.talk(1);
    for (let n = 0; n < 200; n++) {
      world.now = (world.now + 20) as typeof world.now;
      assert.equal(caller.speak(), PUBLIC.says);
    }
    assert.deepEqual(challenge(call), [undefined, undefined, undefined, undefined]);
    assert.equal(caller.place, NATED.from);
  });

  test("is not learned where the party was silent when that was last looked at, and has spoken since", () => {
    const call = settled();
    const { caller } = call;
    const { world } = caller;
    caller.talk(1);
    world.pass(2_000);
    for (let n = 0; n < 20; n++) {
      world.now = (world.now + 20) as typeof world.now;
      assert.equal(caller.speak(), PUBLIC.says);
    }
    assert.deepEqual(challenge(call), [undefined, undefined, undefined, undefined]);
    assert.equal(caller.place, NATED.from);
    assert.equal(flows(call), 1, "it was taken back to find out");
  });

  test("is learned where it was silent all the time, as without", () => {
    const call = settled();
    call.caller.talk(1);
    call.caller.world.pass(2_000);
    assert.deepEqual(challenge(call), [undefined, undefined, PUBLIC.says, PUBLIC.says]);
    assert.equal(call.caller.place, "198.51.100.7:4000");
  });

  function challenge({ caller }: Call): (string | undefined)[] {
    const other = new Phone(caller.world, caller.leg, "198.51.100.7:4000", caller.ssrc);
    other.target = caller.target;
    other.sequence = caller.sequence;
    return Array.from({ length: 4 }, () => other.speak());
  }
});

suite("anything at any time: with and without, the same packets go the same ways, and the record is the same", () => {
  let [taken, all] = [0, 0];
  for (let seed = 1; seed <= 100; seed++) {
    test(`seed ${seed}`, () => {
      // Where nobody takes a hint, and where somebody does.
      const [seen, forwarded] = [false, true].map((offloads) => live(seed, offloads)) as [Life, Life];
      assert.deepEqual(forwarded.ways, seen.ways);
      assert.deepEqual(forwarded.record, seen.record);
      assert.equal(seen.taken, 0);
      taken += forwarded.taken;
      all += seen.ways.filter((way) => way !== undefined).length;
    });
  }
  test("and much of it was not seen", () => assert.ok(taken > all / 3, `${taken} of ${all} packets`));
});

interface Life {
  readonly ways: (string | undefined)[];
  readonly record: unknown;
  /** Packets that the relay has not seen. */
  readonly taken: number;
}

function live(seed: number, offloads: boolean): Life {
  const random = new SeededRandom(seed);
  const world = new RelayWorld({ offloads, config: { settledAfter: 1 } });
  const call = setUp(world);
  const ways: (string | undefined)[] = [];
  const speaks = (phone: Phone, fields = {}) => {
    world.pass(1);
    ways.push(phone.speak(fields));
  };
  for (let n = 0; n < 60; n++) {
    const phone = random.oneIn(2) ? call.caller : call.callee;
    switch (random.below(12)) {
      case 0:
        phone.sequence += random.pick([1, 5, 100, 3_000, 40_000]);
        break;
      case 1:
        phone.sequence -= random.pick([1, 2, 50, 101]);
        break;
      case 2:
        phone.ssrc += random.oneIn(3) ? 1 : 0;
        break;
      case 3:
        // Reports come every five seconds or so, and what is forwarded is told of four times a second.
        world.forwarder?.tell();
        ways.push(phone.report());
        break;
      case 4:
        world.pass(random.pick([100, 900, 1_100, 5_000]));
        break;
      case 5:
        speaks(phone, { payloadType: random.pick([0, 77, 101]), marker: true });
        break;
      case 6: {
        const other = new Phone(
          world,
          phone.leg,
          `${random.pick(["198.51.100.7", "198.51.100.80", "192.0.2.1"])}:4000`,
          phone.ssrc,
        );
        other.target = phone.target;
        other.sequence = phone.sequence;
        for (let i = 0; i < random.pick([1, 3, 4]); i++) speaks(other);
        break;
      }
      case 7:
        if (random.oneIn(3)) renegotiate(call, random.pick(["sendrecv", "sendonly", "inactive"]), "sendrecv");
        break;
      default:
        for (let i = random.pick([1, 4, 20]); i > 0; i--) {
          world.pass(random.pick([19, 20, 21]));
          speaks(phone);
        }
    }
  }
  const report = world.relay.closeSession(call.session) ?? assert.fail();
  world.drain();
  for (const { drops } of report.legs.flatMap(({ streams }) => streams.map(({ media }) => media))) {
    // Where it has to be asked first whether the party is silent, somebody begins to be learned meanwhile.
    Object.assign(drops, { learning: drops.learning + drops["other-port"], "other-port": 0 });
  }
  // RFC 3550 §A.8: whoever takes over has no packet before to compare the first with.
  const record = JSON.parse(JSON.stringify(report, (key, value) => (key === "jitter" ? undefined : value)));
  return { ways, record, taken: world.forwarder?.packets ?? 0 };
}
