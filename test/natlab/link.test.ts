import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { LinkConditions } from "../../src/natlab/link.ts";
import type { SendOptions } from "../../src/natlab/udp-socket.ts";
import { World } from "../../src/natlab/world.ts";
import { listen } from "./inbox.ts";

/** Sends `count` numbered packets at once from one end of a link; gives the arrivals at the other, in order. */
function run(
  conditions: Partial<LinkConditions>,
  { count = 1, size = 4, seed = 1, family = 4 },
  options?: SendOptions,
) {
  const world = new World({ seed });
  const link = world.link("cable", conditions);
  const [near, far] = family === 4 ? ["192.0.2.1", "192.0.2.2"] : ["2001:db8::1", "2001:db8::2"];
  const from = world
    .host("near")
    .attach(link, near as string)
    .socket();
  const to = world
    .host("far")
    .attach(link, far as string)
    .socket();
  const arrivals: { n: number; at: number }[] = [];
  to.onMessage = (data) => arrivals.push({ n: ((data[0] as number) << 8) | (data[1] as number), at: world.now });
  for (let n = 0; n < count; n++)
    from.send(Uint8Array.of(n >> 8, n, ...new Array(size - 2).fill(0)), to.address, options);
  world.settle();
  return { arrivals, dropped: Object.fromEntries(world.counts.dropped) };
}

test("delay is one way, and the same for every packet", () => {
  const { arrivals } = run({ delay: 30 }, { count: 3 });
  assert.deepEqual(arrivals, [
    { n: 0, at: 30 },
    { n: 1, at: 30 },
    { n: 2, at: 30 },
  ]);
});

test("jitter spreads arrivals within its bounds and keeps their order", () => {
  const { arrivals } = run({ delay: 10, jitter: 20 }, { count: 200 });
  assert.deepEqual(
    arrivals.map(({ n }) => n),
    [...new Array(200).keys()],
  );
  assert.ok(arrivals.every(({ at }) => at >= 10 && at <= 30));
  assert.ok(new Set(arrivals.map(({ at }) => at)).size > 3);
});

test("loss takes its share, and says so", () => {
  const { arrivals, dropped } = run({ loss: 0.25 }, { count: 4000 });
  assert.ok(Math.abs(arrivals.length - 3000) < 150, String(arrivals.length));
  assert.deepEqual(dropped, { lost: 4000 - arrivals.length });
});

test("reordered packets come late by as much as is asked, behind those sent after them", () => {
  const { arrivals } = run({ delay: 5, reorder: 0.1, reorderBy: 8 }, { count: 1000 });
  const late = arrivals.filter(({ at }) => at === 13);
  assert.ok(late.length > 60 && late.length < 140, String(late.length));
  assert.equal(arrivals.filter(({ at }) => at === 5).length, 1000 - late.length);
});

test("duplicated packets arrive twice", () => {
  const { arrivals } = run({ duplicate: 1 }, { count: 2 });
  assert.deepEqual(
    arrivals.map(({ n }) => n),
    [0, 0, 1, 1],
  );
});

test("a receiver that writes into its copy does not change the other", () => {
  const world = new World();
  const link = world.link("cable", { duplicate: 1 });
  const from = world.host("near").attach(link, "192.0.2.1").socket();
  const to = world.host("far").attach(link, "192.0.2.2").socket();
  const first: (number | undefined)[] = [];
  to.onMessage = (data) => {
    first.push(data[0]);
    data[0] = 9;
  };
  from.send(Uint8Array.of(1), to.address);
  world.settle();
  assert.deepEqual(first, [1, 1]);
});

test("rate spaces packets by their length, and the queue overflows", () => {
  // 100 bytes on the wire at 80 kbit/s: one every 10 ms.
  const { arrivals, dropped } = run({ rate: 80_000, queue: 300 }, { count: 6, size: 72 });
  assert.deepEqual(
    arrivals.map(({ at }) => at),
    [10, 20, 30, 40],
  );
  assert.deepEqual(dropped, { "queue-full": 2 });
});

test("each direction has its own rate", () => {
  const world = new World();
  const link = world.link("cable", { rate: 80_000 });
  const a = world.host("a").attach(link, "192.0.2.1").socket();
  const b = world.host("b").attach(link, "192.0.2.2").socket();
  const [heardA, heardB] = [listen(world, a), listen(world, b)];
  a.send(new Uint8Array(72), b.address);
  b.send(new Uint8Array(72), a.address);
  world.settle();
  assert.deepEqual([heardA[0]?.at, heardB[0]?.at], [10, 10]);
});

suite("a link too narrow", () => {
  test("cuts IPv4, and loses the datagram with any of its pieces", () => {
    assert.equal(run({ mtu: 576 }, { size: 1400 }).arrivals.length, 1);
    // Three pieces: 0.9 cubed arrive.
    const { arrivals } = run({ mtu: 576, loss: 0.1 }, { size: 1400, count: 3000 });
    assert.ok(Math.abs(arrivals.length - 2187) < 100, String(arrivals.length));
  });
  test("drops what must not be cut", () => {
    assert.deepEqual(run({ mtu: 576 }, { size: 1400 }, { dontFragment: true }).dropped, { "too-big": 1 });
  });
  test("RFC 8200 §5: takes IPv6 in fragments from its source, not from a router", () => {
    assert.equal(run({ mtu: 1280 }, { size: 1400, family: 6 }).arrivals.length, 1);
    const world = new World();
    const [wide, narrow] = [world.link("wide"), world.link("narrow", { mtu: 1280 })];
    const from = world.host("near").attach(wide, "2001:db8:1::1").socket();
    const to = world.host("far").attach(narrow, "2001:db8:2::1").socket();
    world.router("router").attach(wide, "2001:db8:1::ff", ["::/0"]).attach(narrow, "2001:db8:2::ff", ["::/0"]);
    const heard = listen(world, to);
    from.send(new Uint8Array(1400), to.address);
    from.send(new Uint8Array(1000), to.address);
    world.settle();
    assert.equal(heard.length, 1);
    assert.equal(world.counts.dropped.get("too-big"), 1);
  });
});

test("conditions change while the world runs", () => {
  const world = new World();
  const link = world.link("cable");
  const a = world.host("a").attach(link, "192.0.2.1").socket();
  const b = world.host("b").attach(link, "192.0.2.2").socket();
  const heard = listen(world, b);
  a.send(new Uint8Array(1), b.address);
  link.change({ loss: 1 });
  a.send(new Uint8Array(1), b.address);
  link.change({ loss: 0, delay: 7 });
  a.send(new Uint8Array(1), b.address);
  world.settle();
  assert.deepEqual(
    heard.map(({ at }) => at),
    [0, 7],
  );
});

test("the same seed gives the same run, another seed another", () => {
  const conditions = { delay: 5, jitter: 9, loss: 0.2, reorder: 0.1, duplicate: 0.1 };
  const of = (seed: number) => run(conditions, { count: 300, seed }).arrivals;
  assert.deepEqual(of(7), of(7));
  assert.notDeepEqual(of(7), of(8));
});
