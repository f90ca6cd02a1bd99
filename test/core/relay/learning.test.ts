/** Who is heard, and who is spoken to: every sentence of how endpoints are learned (docs/relay.md). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { copyAddress } from "../../../src/core/base/address.ts";
import { isPublic } from "../../../src/core/relay/reach.ts";
import { at, NATED, Phone, type PhoneOptions, PUBLIC, prefix, RelayWorld, setUp, voiceSdp } from "./world.ts";

const none = (count: number): undefined[] => new Array<undefined>(count).fill(undefined);

suite("the public address in the description", () => {
  test("is believed: it is spoken to at once, and heard from its very first packet", () => {
    const { caller, callee } = setUp(new RelayWorld());
    assert.equal(callee.place, PUBLIC.says);
    assert.equal(caller.place, undefined);
    assert.deepEqual(caller.talk(4), [undefined, undefined, PUBLIC.says, PUBLIC.says]);
    assert.deepEqual(callee.talk(1), [NATED.from]);
  });

  test("from another port of it three packets in sequence are asked for, and from then on it is spoken to there", () => {
    const { callee, caller } = setUp(new RelayWorld(), NATED, { ...PUBLIC, from: "198.51.100.80:7777" });
    caller.talk(3);
    assert.deepEqual(callee.talk(3), [undefined, undefined, NATED.from]);
    assert.equal(callee.place, "198.51.100.80:7777");
    assert.deepEqual([callee.media.by, callee.media.drops.learning], ["learned", 2]);
    assert.equal(caller.speak(), "198.51.100.80:7777");
  });

  test("is not the proven one: who is somewhere else with both is heard from the description's", () => {
    const { callee } = setUp(new RelayWorld(), NATED, { ...PUBLIC, proven: "198.51.100.99" });
    callee.from = at("198.51.100.99:5000");
    assert.deepEqual(callee.talk(9), none(9));
    assert.equal(callee.media.drops.stranger, 9);
  });
});

suite("a private address in the description, or a host's name", () => {
  for (const says of ["192.168.1.5:4000", "10.1.2.3:4000", "100.64.3.4:4000", "169.254.1.1:4000", "127.0.0.1:4000"]) {
    test(`${says}: the proven address counts, nothing is sent before three packets`, () => {
      const { caller, callee } = setUp(new RelayWorld(), { ...NATED, says });
      callee.talk(5);
      assert.equal(callee.media.drops["no-way"], 5);
      assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
      assert.equal(callee.speak(), NATED.from);
    });
  }

  test("the private address itself is a stranger's", () => {
    const { caller } = setUp(new RelayWorld());
    caller.from = at("192.168.1.5:4000");
    assert.deepEqual(caller.talk(5), none(5));
    assert.equal(caller.media.drops.stranger, 5);
  });

  test("but where signaling comes from it, no NAT is between: it is spoken to at once", () => {
    const says = "192.168.1.5:4000";
    const { caller, callee } = setUp(new RelayWorld(), { says, proven: "192.168.1.5" });
    assert.deepEqual(callee.talk(1), [says]);
    assert.deepEqual(caller.talk(1), [PUBLIC.says]);
  });

  test("a name is not asked for: the proven address counts", () => {
    const world = new RelayWorld();
    const session = world.openSession();
    const [a, b] = [world.addLeg(session, "198.51.100.7"), world.addLeg(session, "198.51.100.80")];
    const named = voiceSdp("192.0.2.9:4000").replaceAll("192.0.2.9", "phone.example.com");
    world.forwarded("offer", a, b, named);
    const caller = new Phone(world, a, "198.51.100.7:4000", 1).hears(
      world.forwarded("answer", b, a, voiceSdp(PUBLIC.says)),
    );
    assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
  });
});

suite("a trunk's media ranges", () => {
  const trunk: PhoneOptions = {
    says: "10.9.9.9:6000",
    proven: "",
    from: "203.0.113.77:30000",
    party: { ranges: [prefix("203.0.113.64/26"), prefix("10.9.0.0/16")] },
  };

  test("media comes from any of them, after three packets; a private one in them is spoken to at once", () => {
    const { caller, callee } = setUp(new RelayWorld(), NATED, trunk);
    caller.talk(3);
    assert.equal(callee.place, "10.9.9.9:6000");
    assert.deepEqual(callee.talk(3), [undefined, undefined, NATED.from]);
    assert.equal(callee.place, "203.0.113.77:30000");
  });

  test("outside of them everybody is a stranger; without a proven address too", () => {
    const { callee } = setUp(new RelayWorld(), NATED, trunk);
    for (const from of ["203.0.113.63:30000", "10.10.0.1:6000", "198.51.100.7:61000"]) {
      callee.from = at(from);
      assert.deepEqual(callee.talk(4), none(4), from);
    }
  });

  test("the public address in its description is its own too", () => {
    const { callee } = setUp(new RelayWorld(), PUBLIC, { ...trunk, says: "192.0.2.50:6000", from: "192.0.2.50:6000" });
    assert.deepEqual(callee.talk(1), [PUBLIC.says]);
  });
});

suite("a port is learned after three packets in sequence, of one source, of a type that was agreed on", () => {
  const cases: Record<string, (phone: Phone) => void> = {
    "with a gap after each": (phone) => void (phone.sequence = (phone.sequence + 1) & 0xffff),
    backwards: (phone) => void (phone.sequence = (phone.sequence - 2) & 0xffff),
    "the same number again": (phone) => void (phone.sequence = (phone.sequence - 1) & 0xffff),
    "another source each": (phone) => void phone.ssrc++,
    "another port each": (phone) => void (phone.from = { ...phone.from, port: phone.from.port + 1 }),
  };
  for (const [name, change] of Object.entries(cases)) {
    test(`${name}: never`, () => {
      const { caller } = setUp(new RelayWorld());
      for (let n = 0; n < 50; n++) {
        assert.deepEqual(caller.talk(1), [undefined]);
        change(caller);
      }
      assert.equal(caller.place, undefined);
    });
  }

  test("types that nobody named never; any that either named does", () => {
    for (const [payloadType, isAgreed] of [
      [0, true],
      [101, true],
      [8, false],
      [127, false],
    ] as const) {
      const { caller } = setUp(new RelayWorld());
      assert.equal(caller.talk(3, { payloadType })[2] !== undefined, isAgreed, `${payloadType}`);
      assert.equal(caller.media.drops.unnegotiated, isAgreed ? 0 : 3);
    }
  });

  test("what is no RTP is nobody's proof: STUN, DTLS, RTCP, noise", () => {
    const world = new RelayWorld();
    const { caller } = setUp(world);
    for (const first of [0, 20, 64, 200, 255]) {
      for (let n = 0; n < 5; n++) {
        const data = new Uint8Array(60).fill(first);
        assert.equal(world.arrive(data, caller.from, caller.target), undefined);
      }
    }
    assert.equal(caller.media.drops.malformed, 25);
  });

  test("over the wrap of the number", () => {
    const { caller } = setUp(new RelayWorld());
    caller.sequence = 65_533;
    assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
  });
});

suite("once it is learned", () => {
  test("no other port of the same address is heard, though it sends the same", () => {
    const { caller, callee } = setUp(new RelayWorld());
    caller.talk(3);
    const other = new Phone(caller.world, caller.leg, "198.51.100.7:7", 1001);
    other.target = caller.target;
    for (let n = 0; n < 200; n++) {
      assert.deepEqual(caller.talk(1), [PUBLIC.says]);
      other.sequence = caller.sequence;
      assert.deepEqual(other.talk(1), [undefined]);
    }
    assert.equal(callee.speak(), NATED.from);
    assert.equal(caller.media.drops["other-port"], 200);
  });

  test("a new source, a codec without a number in the description: it is still the same phone", () => {
    const { caller } = setUp(new RelayWorld());
    caller.talk(3);
    caller.ssrc = 77;
    caller.sequence = 5;
    assert.deepEqual(caller.talk(2, { payloadType: 13 }), [PUBLIC.says, PUBLIC.says]);
  });

  test("after a second of silence the same source goes on from another port", () => {
    const world = new RelayWorld();
    const { caller, callee } = setUp(world);
    caller.talk(10);
    caller.from = at("198.51.100.7:62000");
    // Packets are on their way all the time: 49 of them come within the second.
    assert.deepEqual(caller.talk(49), none(49));
    assert.deepEqual(caller.talk(4), [undefined, undefined, PUBLIC.says, PUBLIC.says]);
    assert.equal(callee.speak(), "198.51.100.7:62000");
    const learned = world.events.filter((event) => event.type === "learned");
    assert.deepEqual(
      learned.map(({ isFirst }) => isFirst),
      [true, false],
    );
  });

  const strangers: Record<string, (phone: Phone) => void> = {
    "another source": (phone) => void (phone.ssrc = 9),
    "another address": (phone) => void (phone.from = at("198.51.100.8:62000")),
    "a number that does not continue": (phone) => void (phone.sequence = (phone.sequence + 4000) & 0xffff),
    "a number from before": (phone) => void (phone.sequence = (phone.sequence - 100) & 0xffff),
  };
  for (const [name, change] of Object.entries(strangers)) {
    test(`and nobody else does: ${name}`, () => {
      const world = new RelayWorld();
      const { caller, callee } = setUp(world);
      caller.talk(10);
      world.pass(30_000);
      caller.from = at("198.51.100.7:62000");
      change(caller);
      assert.deepEqual(caller.talk(50), none(50));
      assert.equal(callee.speak(), NATED.from);
    });
  }
});

suite("a new offer", () => {
  const again = (phone: Phone, other: Phone, says: string, more: readonly string[] = []): void => {
    phone.world.forwarded("offer", phone.leg, other.leg, voiceSdp(says, more));
    phone.world.forwarded("answer", other.leg, phone.leg, voiceSdp(PUBLIC.says));
  };

  test("to the same place: what was learned carries on, and another port may prove itself", () => {
    const { caller, callee } = setUp(new RelayWorld());
    caller.talk(5);
    again(caller, callee, NATED.says);
    assert.equal(callee.speak(), NATED.from, "until then it is spoken to where it was");
    caller.from = at("198.51.100.7:62000");
    caller.ssrc = 5;
    assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
    assert.equal(callee.speak(), "198.51.100.7:62000");
  });

  test("and once the old port is heard again, no longer", () => {
    const { caller, callee } = setUp(new RelayWorld());
    caller.talk(5);
    again(caller, callee, NATED.says);
    assert.deepEqual(caller.talk(1), [PUBLIC.says]);
    caller.from = at("198.51.100.7:62000");
    assert.deepEqual(caller.talk(5), none(5));
  });

  test("to another place: what was learned is forgotten", () => {
    const { caller, callee } = setUp(new RelayWorld());
    caller.talk(5);
    again(caller, callee, "192.168.1.5:4002");
    assert.equal(callee.speak(), undefined);
    assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
    again(caller, callee, "192.0.2.200:4002");
    assert.equal(callee.speak(), "192.0.2.200:4002");
    assert.deepEqual(caller.talk(5), none(5), "the old address is a stranger's now");
  });

  test("that is not answered, or refused, changes nothing", () => {
    const { caller, callee } = setUp(new RelayWorld());
    const { world } = caller;
    caller.talk(5);
    world.forwarded("offer", caller.leg, callee.leg, voiceSdp("192.0.2.200:4002"));
    assert.deepEqual([callee.speak(), caller.speak()], [NATED.from, PUBLIC.says]);
    world.relay.withdrawOffer(caller.leg, callee.leg);
    // The answer of before comes again.
    world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
    assert.deepEqual([callee.speak(), caller.speak()], [NATED.from, PUBLIC.says]);
  });
});

test("an answer of before, that comes again, undoes nothing", () => {
  const { caller, callee } = setUp(new RelayWorld());
  const { world } = caller;
  world.forwarded("offer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
  world.forwarded("answer", caller.leg, callee.leg, voiceSdp("192.0.2.200:4002"));
  world.forwarded("answer", callee.leg, caller.leg, voiceSdp(PUBLIC.says));
  assert.equal(caller.place, "192.0.2.200:4002");
});

suite("a signaling flow that changes", () => {
  test("to another address: the media moves with it", () => {
    const { caller, callee } = setUp(new RelayWorld());
    caller.talk(5);
    caller.world.relay.handleFlowChanged(caller.leg, at("192.0.2.66:5060"));
    assert.equal(callee.speak(), undefined, "who has gone is not spoken to");
    assert.deepEqual(caller.talk(3), none(3));
    caller.from = at("192.0.2.66:1234");
    assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
    assert.equal(callee.speak(), "192.0.2.66:1234");
  });

  test("to another port of the same: the old one is spoken to until another is proven", () => {
    const { caller, callee } = setUp(new RelayWorld());
    caller.talk(5);
    caller.world.relay.handleFlowChanged(caller.leg, at("198.51.100.7:5555"));
    assert.equal(callee.speak(), NATED.from);
    caller.from = at("198.51.100.7:62000");
    assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
  });
});

suite("RTCP", () => {
  test("from just where the description says it is carried, and sent there", () => {
    const { caller, callee } = setUp(new RelayWorld());
    caller.talk(3);
    assert.equal(caller.report(), "198.51.100.80:5001");
    assert.equal(callee.report(), "198.51.100.7:61001");
  });

  test("behind a NAT: where the media is known, from its address, naming its source", () => {
    const { caller } = setUp(new RelayWorld());
    assert.equal(caller.report(), undefined, "nothing is known yet");
    caller.talk(3);
    assert.equal(caller.report(9), undefined, "another source");
    assert.equal(caller.report(1001, at("198.51.100.8:61001")), undefined, "another address");
    assert.equal(caller.report(), "198.51.100.80:5001");
    assert.equal(caller.report(1001, at("198.51.100.7:9")), undefined, "it is known now");
    caller.world.pass(10_000);
    assert.equal(caller.report(1001, at("198.51.100.7:9")), "198.51.100.80:5001");
  });

  test("in a trunk's ranges: from the address of its media", () => {
    const party = { ranges: [prefix("203.0.113.64/26")] };
    const { callee } = setUp(new RelayWorld(), NATED, {
      says: "10.0.0.1:6000",
      proven: "",
      from: "203.0.113.77:6000",
      party,
    });
    callee.talk(3);
    assert.equal(callee.report(2002, at("203.0.113.78:6001")), undefined);
    assert.equal(callee.report(9, at("203.0.113.77:6001")), undefined);
    const { control } = callee.stream();
    assert.deepEqual([control?.drops.learning, control?.drops["other-port"]], [1, 1]);
    callee.report(2002, at("203.0.113.77:6001"));
    assert.equal(callee.stream().control?.by, "learned");
  });

  test("on the port of RTP, where both have agreed: then it comes from where that comes", () => {
    const more = ["a=rtcp-mux"];
    const world = new RelayWorld();
    const { caller } = setUp(world, { ...NATED, more }, { ...PUBLIC, more });
    const report = Uint8Array.of(0x80, 201, 0, 1, 0, 0, 3, 233);
    assert.equal(world.arrive(report, caller.from, caller.target), undefined);
    caller.talk(3);
    assert.ok(world.arrive(report, caller.from, caller.target));
    assert.equal(caller.stream().control, undefined);
    assert.equal(world.open.size, 2);
  });

  test("on the port of RTP where nobody has agreed it is nothing", () => {
    const world = new RelayWorld();
    const { caller } = setUp(world);
    caller.talk(3);
    const report = Uint8Array.of(0x80, 201, 0, 1, 0, 0, 3, 233);
    assert.equal(world.arrive(report, caller.from, caller.target), undefined);
  });
});

suite("whom a description never makes us speak to", () => {
  const cases: Record<string, string> = {
    ourselves: "203.0.113.1:5060",
    "our own IPv6": "[2001:db8:ffff::1]:5060",
    "this host": "127.0.0.1:8080",
    "a neighbour of the server": "10.0.0.9:5060",
    many: "224.0.0.1:4000",
    all: "255.255.255.255:4000",
    "this network": "0.1.2.3:4000",
    "a metadata service": "169.254.169.254:4000",
    "what carries a private address (6to4)": "[2002:a00:1::1]:4000",
    "what carries a private address (NAT64)": "[64:ff9b::a00:1]:4000",
    "an unique local address": "[fd00::1]:4000",
    "a service's port": "192.0.2.9:53",
    "an address of the other family": "[2001:db8:9::1]:4000",
  };
  for (const [name, says] of Object.entries(cases)) {
    test(name, () => {
      const { caller, callee } = setUp(new RelayWorld(), { says, proven: "192.0.2.1" });
      assert.deepEqual(callee.talk(3), none(3));
      assert.equal(caller.place, undefined);
    });
  }

  test("nor is that address heard: the proven one counts in its place", () => {
    const says = "203.0.113.1:40000";
    const { caller } = setUp(new RelayWorld(), { says, proven: "192.0.2.1", from: "192.0.2.1:9" });
    assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
    caller.from = at(says);
    assert.deepEqual(caller.talk(3), none(3));
    assert.equal(caller.media.drops.stranger, 3);
  });

  test("a trunk's ranges do not open what is nobody's", () => {
    const party = { ranges: [prefix("0.0.0.0/0")] };
    const { caller, callee } = setUp(new RelayWorld(), { says: "224.0.0.1:4000", proven: "", party });
    assert.deepEqual(callee.talk(3), none(3));
    assert.equal(caller.place, undefined);
  });

  test("public is what the Internet routes", () => {
    for (const text of ["192.0.2.1", "8.8.8.8", "2001:db8::1", "2a00::1"]) assert.ok(isPublic(at(`[${text}]:1`)), text);
    for (const text of ["10.0.0.1", "::1", "fe80::1", "2001::1", "240.0.0.1"])
      assert.ok(!isPublic(at(`[${text}]:1`)), text);
  });
});

test("addresses that are handed in are borrowed", () => {
  const world = new RelayWorld();
  const { caller, callee } = setUp(world);
  const from = copyAddress(caller.from);
  caller.from = from;
  caller.talk(3);
  from.port = 1;
  assert.equal(callee.speak(), NATED.from);
});
