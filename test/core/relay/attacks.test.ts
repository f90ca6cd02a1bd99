/** Third parties spray every port of the relay: before a phone speaks, while it is learned, and later. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, formatAddress } from "../../../src/core/base/address.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { rtcp, rtp } from "../rtp/packets.ts";
import { at, type Call, NATED, Phone, type PhoneOptions, PUBLIC, RelayWorld, setUp } from "./world.ts";

/** RTP in sequence with types that were agreed on, and everything else, to every open port, from `from`. */
function spray(world: RelayWorld, from: Readonly<Address>, rounds: number): string[] {
  const through: string[] = [];
  for (let n = 0; n < rounds; n++) {
    for (const to of [...world.open.values()]) {
      for (const data of [
        rtp({ sequence: n, ssrc: 1001, payloadType: 0 }),
        rtp({ sequence: n, ssrc: 2002, payloadType: 101 }),
        rtcp(1001),
        rtcp(2002, 200),
        new Uint8Array(50).fill(n),
      ]) {
        const route = world.arrive(data, from, to);
        if (route !== undefined) through.push(formatAddress(route.remote));
      }
    }
  }
  return through;
}

const THIRD: readonly string[] = ["192.0.2.13:4000", "198.51.100.8:61000", "192.168.1.5:4000", "203.0.113.1:40000"];
const PAIRS: Record<string, readonly [PhoneOptions, PhoneOptions]> = {
  "behind a NAT, to the Internet": [NATED, PUBLIC],
  "both behind NATs": [NATED, { says: "10.0.0.4:4000", proven: "192.0.2.90", from: "192.0.2.90:1025" }],
  "both on the Internet": [PUBLIC, { says: "192.0.2.90:7000", proven: "192.0.2.90" }],
};

function converse({ caller, callee }: Call, packets: number): void {
  for (let n = 0; n < packets; n++) {
    caller.talk(1);
    callee.speak();
  }
}

suite("third addresses: nothing comes through from them, and nothing goes to them", () => {
  for (const [name, [one, other]] of Object.entries(PAIRS)) {
    test(name, () => {
      const world = new RelayWorld();
      const call = setUp(world, one, other);
      const { caller, callee } = call;
      const sprayed = () => THIRD.flatMap((third) => spray(world, at(third), 40));
      const places = () => [caller.place, callee.place];

      const before = places();
      assert.deepEqual(sprayed(), [], "before they speak");
      assert.deepEqual(places(), before);

      for (let n = 0; n < 6; n++) {
        converse(call, 1);
        assert.deepEqual(sprayed(), [], "while they are learned");
      }
      assert.deepEqual(places(), [one.from ?? one.says, other.from ?? other.says]);

      converse(call, 50);
      assert.deepEqual(sprayed(), [], "later");
      world.pass(30_000);
      assert.deepEqual(sprayed(), [], "while both are silent");
      assert.deepEqual([caller.speak(), callee.speak()], [other.from ?? other.says, one.from ?? one.says]);
    });
  }

  test("on hold, and after a new offer", () => {
    const world = new RelayWorld();
    const call = setUp(world);
    converse(call, 5);
    for (const more of [["a=sendonly"], ["a=inactive"], []]) {
      const { caller, callee } = call;
      world.forwarded("offer", caller.leg, callee.leg, sdpOf(NATED, more));
      world.forwarded("answer", callee.leg, caller.leg, sdpOf(PUBLIC));
      for (const third of THIRD) assert.deepEqual(spray(world, at(third), 20), []);
    }
  });

  test("they are named", () => {
    const world = new RelayWorld();
    const { caller } = setUp(world);
    spray(world, at("192.0.2.13:4000"), 3);
    assert.equal(caller.media.drops.stranger, 15);
    assert.ok(caller.media.stranger !== undefined);
    assert.equal(formatAddress(caller.media.stranger), "192.0.2.13:4000");
    assert.equal(world.relay.stats.drops.stranger, 15 * world.open.size);
  });
});

function sdpOf({ says }: PhoneOptions, more: readonly string[] = []): string {
  const [host, port] = says.split(":") as [string, string];
  return `v=0\r\no=- 1 1 IN IP4 ${host}\r\ns=-\r\nc=IN IP4 ${host}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0 101\r\n${more.map((line) => `${line}\r\n`).join("")}`;
}

suite("from behind the phone's own NAT", () => {
  test("junk never comes through, and keeps nobody from being learned", () => {
    const world = new RelayWorld();
    const { caller } = setUp(world);
    const random = new SeededRandom(3);
    for (let n = 0; n < 5_000; n++) {
      const from = at(`198.51.100.7:${1 + random.below(65_535)}`);
      const data = random.oneIn(2) ? random.bytes(40) : rtp({ payloadType: 77, sequence: n });
      if (data[0] !== undefined && data[0] >>> 6 === 2 && (data[1] as number & 0x7f) % 101 === 0) continue;
      assert.equal(world.arrive(data, from, caller.target), undefined);
    }
    assert.deepEqual(caller.talk(3), [undefined, undefined, PUBLIC.says]);
  });

  test("a flood of good packets from random ports holds the phone up for 100 ms at most, and never gets in", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new RelayWorld();
      const { caller } = setUp(world);
      const random = new SeededRandom(seed);
      const flood = (packets: number) => {
        for (let n = 0; n < packets; n++) {
          const from = at(`198.51.100.7:${1024 + random.below(64_000)}`);
          const data = rtp({ sequence: random.below(65_536), ssrc: random.u32() });
          assert.equal(world.arrive(data, from, caller.target), undefined);
        }
      };
      for (let ms = 0; ms < 1_000; ms += 20) flood(1_000);
      const began = world.now;
      let learnedAt: number | undefined;
      for (let n = 0; n < 10 && learnedAt === undefined; n++) {
        if (caller.talk(1)[0] !== undefined) learnedAt = world.now;
      }
      assert.ok(learnedAt !== undefined && learnedAt - began <= 100, `seed ${seed}: ${learnedAt}`);
    }
  });

  test("while it goes on the phone is learned too, at twenty thousand packets a second", () => {
    const world = new RelayWorld();
    const { caller } = setUp(world);
    const random = new SeededRandom(9);
    let packets = 0;
    while (caller.place === undefined && packets < 1_000) {
      for (let n = 0; n < 400; n++) {
        const from = at(`198.51.100.7:${1024 + random.below(64_000)}`);
        assert.equal(world.arrive(rtp({ sequence: n, ssrc: random.u32() }), from, caller.target), undefined);
      }
      caller.talk(1);
      packets++;
    }
    assert.ok(packets <= 100, `${packets} packets of its own`);
  });
});

test("a second of junk at full rate on one port: the call goes on meanwhile, and no other notices", () => {
  const world = new RelayWorld();
  const call = setUp(world);
  const other = setUp(world, PUBLIC, { says: "192.0.2.90:7000", proven: "192.0.2.90" });
  converse(call, 5);
  const random = new SeededRandom(5);
  for (let ms = 0; ms < 1_000; ms += 20) {
    for (let n = 0; n < 500; n++) {
      const from = random.oneIn(2) ? "198.51.100.7" : "192.0.2.13";
      const third: Address = at(`${from}:${random.below(65_535) + 1}`);
      assert.equal(world.arrive(random.bytes(1 + random.below(200)), third, call.caller.target), undefined);
    }
    assert.deepEqual(call.caller.talk(1), [PUBLIC.says]);
    assert.equal(call.callee.speak(), NATED.from);
    assert.equal(other.caller.speak(), "192.0.2.90:7000");
  }
  assert.deepEqual(call.caller.talk(5), new Array(5).fill(PUBLIC.says));
  assert.equal(call.caller.stream().lost, 0);
});

test("who is learned by mistake behind the same NAT is not given the call for good: a new offer mends it", () => {
  const world = new RelayWorld();
  const { caller, callee } = setUp(world);
  const thief = new Phone(world, caller.leg, "198.51.100.7:5", 66);
  thief.target = caller.target;
  thief.talk(5);
  assert.equal(callee.speak(), "198.51.100.7:5");
  world.forwarded("offer", caller.leg, callee.leg, sdpOf({ ...NATED, says: "192.168.1.5:4002" }));
  world.forwarded("answer", callee.leg, caller.leg, sdpOf(PUBLIC));
  caller.talk(3);
  assert.equal(callee.speak(), NATED.from);
  assert.deepEqual(thief.talk(5), new Array(5).fill(undefined));
});
