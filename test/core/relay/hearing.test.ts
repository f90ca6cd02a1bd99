/** What phones report of what they hear, read as it passes (RFC 3550 §6.4). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { writeU16, writeU32 } from "../../../src/core/base/bytes.ts";
import { rtcp } from "../rtp/packets.ts";
import { at, type Call, NATED, type Phone, PUBLIC, RelayWorld, setUp } from "./world.ts";

interface Block {
  readonly source: number;
  readonly fraction?: number;
  readonly lost?: number;
  readonly highest: number;
  readonly jitter?: number;
}

/** A report with a source description behind it. */
function report(type: 200 | 201, ...blocks: readonly Block[]): Uint8Array {
  const begin = type === 200 ? 28 : 8;
  const data = new Uint8Array(begin + blocks.length * 24);
  data.set([0x80 | blocks.length, type]);
  writeU16(data, 2, data.length / 4 - 1);
  for (const [n, { source, fraction = 0, lost = 0, highest, jitter = 0 }] of blocks.entries()) {
    const block = begin + n * 24;
    writeU32(data, block, source);
    writeU32(data, block + 4, lost & 0xff_ffff);
    data[block + 4] = fraction;
    writeU32(data, block + 8, highest);
    writeU32(data, block + 12, jitter);
  }
  return Uint8Array.from([...data, ...rtcp(2002, 202)]);
}

/** Both have been heard, and the callee's RTCP comes from where it says it does. */
function talking(more: readonly string[] = []): Call & { world: RelayWorld } {
  const world = new RelayWorld();
  const call = setUp(world, { ...NATED, more }, { ...PUBLIC, more });
  call.caller.talk(5);
  call.callee.talk(5);
  return { ...call, world };
}

function send({ world, from, target }: Phone, data: Uint8Array, port = from.port + 1): void {
  world.arrive(data, { ...from, port }, { ...target, port: target.port + 1 });
}

suite("RFC 3550 §6.4.1: a report block", () => {
  for (const type of [200, 201] as const) {
    test(`of a ${type === 200 ? "sender" : "receiver"} report: what it hears of the other side`, () => {
      const { world, callee, caller } = talking();
      const other = { source: 77, highest: 9, fraction: 255 };
      send(callee, report(type, other, { source: 1001, highest: 60_006, fraction: 32, lost: 480, jitter: 24 }));
      const heardAt = world.now;
      assert.deepEqual(callee.stream().hearing, { heardAt, fractionLost: 0.125, lost: 480, jitter: 3, deafReports: 0 });
      assert.equal(caller.stream().hearing, undefined);
    });
  }

  test("counts below nothing where packets came twice", () => {
    const { callee } = talking();
    send(callee, report(201, { source: 1001, highest: 60_006, lost: -3 }));
    assert.equal(callee.stream().hearing?.lost, -3);
  });

  test("of a stranger, of another port, of another source, or longer than its packet, tells nothing", () => {
    const { callee, world } = talking();
    const good = report(201, { source: 1001, highest: 60_006 });
    world.arrive(good, at("192.0.2.66:5001"), { ...callee.target, port: callee.target.port + 1 });
    send(callee, good, 9999);
    send(callee, report(201, { source: 1002, highest: 60_006 }));
    const greedy = report(201);
    greedy[0] = 0x81;
    send(callee, greedy);
    assert.equal(callee.stream().hearing, undefined);
    send(callee, good);
    assert.ok(callee.stream().hearing);
  });

  test("of what a service plays is about the only source there is", () => {
    const world = new RelayWorld();
    const { caller } = setUp(world, PUBLIC, { ...NATED, party: { service: "echo" } });
    caller.talk(5);
    const greedy = report(201);
    greedy[0] = 0x81;
    send(caller, greedy);
    assert.equal(caller.stream().hearing, undefined, "nothing is read of a block that is not there");
    send(caller, report(201, { source: 4711, highest: 60_006, fraction: 64 }));
    assert.equal(caller.stream().hearing?.fractionLost, 0.25);
  });
});

const deafReports = (phone: Phone): number | undefined => phone.stream().hearing?.deafReports;

suite("RFC 3550 §6.4: a report without a block", () => {
  /** The caller speaks for 5 s, and then the callee reports. */
  function round({ caller, callee }: Call, data: Uint8Array, packets = 250): number | undefined {
    caller.talk(packets);
    caller.world.pass(5000 - packets * 20);
    send(callee, data);
    return deafReports(callee);
  }

  test("tells that nothing is heard, once packets have gone there for 10 s", () => {
    const call = talking();
    assert.deepEqual(
      [1, 2, 3, 4].map(() => round(call, report(201))),
      [undefined, undefined, 1, 2],
    );
    assert.equal(call.callee.stream().hearing?.heardAt, undefined);
    assert.equal(round(call, report(201, { source: 1001, highest: 61_000 })), 0, "it hears again");
    assert.equal(round(call, report(201)), 0, "and the 10 s begin anew");
  });

  test("tells nothing where nothing was sent in between", () => {
    const call = talking();
    assert.deepEqual(
      [0, 1, 2, 3].map(() => round(call, report(201), 0)),
      [undefined, undefined, undefined, undefined],
    );
    round(call, report(201));
    round(call, report(201), 0);
    assert.deepEqual(
      [1, 2].map(() => round(call, report(201))),
      [undefined, undefined],
      "the 10 s begin anew",
    );
  });

  test("RFC 5761: on the port of RTP it is read too, and RTCP toward it is nothing to hear", () => {
    const { world, caller, callee } = talking(["a=rtcp-mux"]);
    const say = (phone: Phone, data: Uint8Array) => world.arrive(data, phone.from, phone.target);
    for (let n = 0; n < 5; n++) {
      world.pass(5000);
      assert.ok(say(caller, report(201)));
      assert.ok(say(callee, report(201)));
    }
    assert.equal(deafReports(callee), undefined);
    say(callee, report(201, { source: 1001, highest: 60_006 }));
    assert.equal(deafReports(callee), 0);
  });

  test("is as good as one whose block stands still", () => {
    const call = talking();
    const same = report(201, { source: 1001, highest: 61_000 });
    assert.deepEqual(
      [1, 2, 3, 4].map(() => round(call, same)),
      [0, 0, 0, 1],
    );
  });

  test("tells nothing where it is unknown where to send to", () => {
    const world = new RelayWorld();
    const call = setUp(world, PUBLIC, { ...NATED, more: [`a=rtcp:4001 IN IP4 ${NATED.proven}`] });
    call.callee.from = at(`${NATED.proven}:4000`);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => round(call, report(201))),
      new Array(4).fill(undefined),
    );
    assert.equal(call.callee.media.remote, undefined);
  });
});

suite("SRTCP is not read", () => {
  const block = report(201, { source: 1001, highest: 60_006 });
  const key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

  test("where both have named keys under RTP/AVP", () => {
    const { callee } = talking([key]);
    send(callee, block);
    assert.equal(callee.stream().hearing, undefined);
  });

  test("where its profile says so", () => {
    const world = new RelayWorld();
    const { caller, callee } = setUp(world, { ...NATED, profile: "RTP/SAVP" }, { ...PUBLIC, profile: "RTP/SAVP" });
    caller.talk(5);
    callee.talk(5);
    send(callee, block);
    assert.equal(callee.stream().hearing, undefined);
  });

  test("RFC 3711 §3.4: where nothing but its end tells, an index and a tag", () => {
    const { callee } = talking();
    send(
      callee,
      Uint8Array.from([...report(201, { source: 1001, highest: 60_006 }), 0x80, 0, 0, 1, ...Array(10).fill(7)]),
    );
    assert.equal(callee.stream().hearing, undefined);
  });
});
