/** Bytes over links that do what links do. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Packet } from "../../../src/natlab/packet.ts";
import { toAddress } from "../../../src/natlab/surroundings.ts";
import { Reassembly } from "../../../src/natlab/tcp/reassembly.ts";
import { RoundTrip } from "../../../src/natlab/tcp/round-trip.ts";
import { SendQueue } from "../../../src/natlab/tcp/send-queue.ts";
import { World } from "../../../src/natlab/world.ts";
import { connected, Program, pair, transcript } from "./pair.ts";

function pattern(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, n) => (n * 7 + (n >> 8) + seed) & 0xff);
}

function sizes(world: World): number[] {
  const seen: number[] = [];
  world.watch(
    ({ kind, packet }) => kind === "carried" && packet.payload.length > 0 && seen.push(packet.payload.length),
  );
  return seen;
}

suite("segments", () => {
  test("RFC 9293 §3.7.1: they fit the narrower of both links, IPv4 and IPv6", () => {
    for (const [family, headers] of [
      [4, 40],
      [6, 60],
    ] as const) {
      const world = new World();
      const [wide, narrow] = [world.link("wide", { mtu: 9000 }), world.link("narrow", { mtu: 1400 })];
      const six = family === 6;
      const [a, b] = six ? ["2001:db8:a::", "2001:db8:b::"] : ["10.1.0.", "10.2.0."];
      const everything = [six ? "::/0" : "0.0.0.0/0"];
      world.router("r").attach(wide, `${a}1`, everything).attach(narrow, `${b}1`, everything);
      const far: Program[] = [];
      const { address } = world
        .host("far")
        .attach(narrow, `${b}2`)
        .listen({ port: 80 }, (one) => far.push(new Program(one)));
      const client = new Program(world.host("near").attach(wide, `${a}2`).connect(address));
      const seen = sizes(world);
      client.stream.write(pattern(10_000));
      world.settle();
      assert.equal(Math.max(...seen), 1400 - headers);
      assert.equal(world.counts.dropped.size, 0);
      assert.deepEqual(far[0]?.bytes, Buffer.from(pattern(10_000)));
    }
  });

  test("a narrower link between cuts IPv4 in fragments; RFC 4821 §7.7: with IPv6 silence makes segments smaller", () => {
    for (const six of [false, true]) {
      const world = new World();
      const links = ["left", "middle", "right"].map((name) =>
        world.link(name, { mtu: name === "middle" ? 1300 : 1500 }),
      );
      const [left, middle, right] = links as [(typeof links)[0], (typeof links)[0], (typeof links)[0]];
      const at = (net: number, host: number) => (six ? `2001:db8:${net}::${host}` : `10.${net}.0.${host}`);
      const everything = [six ? "::/0" : "0.0.0.0/0"];
      world
        .router("one")
        .attach(left, at(1, 1), everything)
        .attach(middle, at(2, 1), [six ? "2001:db8:1::/64" : "10.1.0.0/24"]);
      world
        .router("two")
        .attach(right, at(3, 1), everything)
        .attach(middle, at(2, 2), [six ? "2001:db8:3::/64" : "10.3.0.0/24"]);
      const far: Program[] = [];
      const { address } = world
        .host("far")
        .attach(right, at(3, 2))
        .listen({ port: 80 }, (one) => far.push(new Program(one)));
      const client = new Program(world.host("near").attach(left, at(1, 2)).connect(address));
      client.stream.write(pattern(20_000));
      world.settle();
      assert.deepEqual(far[0]?.bytes, Buffer.from(pattern(20_000)), six ? "IPv6" : "IPv4");
      assert.equal(world.counts.dropped.has("too-big"), six);
    }
  });

  test("no more than the receiver's window is on its way", () => {
    const { world, client, far } = connected({ delay: 100, mtu: 9000 });
    let [sent, acknowledged, most] = [0, 0, 0];
    const count = (packet: Packet): void => {
      if (packet.protocol !== "tcp") return;
      if (packet.source.port === 5000) sent += packet.payload.length;
      most = Math.max(most, sent - acknowledged);
    };
    world.watch(({ kind, packet }) => kind === "carried" && count(packet));
    world.watch(({ kind, packet, place }) => {
      if (kind === "delivered" && place === "right") acknowledged += packet.payload.length;
    });
    client.stream.write(pattern(2_000_000));
    world.settle();
    assert.equal(far.bytes.length, 2_000_000);
    assert.ok(most <= 65_535 && most > 60_000, String(most));
  });

  test("what is small waits for nothing, and what waits leaves in few segments", () => {
    const { world, client } = connected({ delay: 100 });
    const seen = sizes(world);
    for (let n = 0; n < 10; n++) client.stream.write(pattern(10));
    assert.deepEqual(seen, new Array(10).fill(10));
    client.stream.write(pattern(100_000));
    world.advance(300);
    for (let n = 0; n < 1000; n++) client.stream.write(pattern(50));
    world.settle();
    assert.ok(seen.length < 120, String(seen.length));
  });
});

suite("loss", () => {
  test("RFC 6298 §5.5: what is not acknowledged is sent again, later each time", () => {
    const { world, link, client, far } = connected();
    link.change({ loss: 1 });
    const began = world.now;
    const times: number[] = [];
    world.watch(({ kind, at }) => kind === "carried" && times.push(at - began));
    client.say("at last");
    world.advance(16_000);
    assert.deepEqual(times, [0, 1000, 3000, 7000, 15_000]);
    link.change({ loss: 0 });
    world.settle();
    assert.equal(far.text, "at last");
  });

  test("RFC 5681 §3.2: three duplicate acknowledgments bring the lost segment before any time-out", () => {
    const { world, link, client, far } = connected({ delay: 50 });
    const began = world.now;
    client.stream.write(pattern(1460));
    link.change({ loss: 1 });
    client.stream.write(pattern(1460, 1));
    link.change({ loss: 0 });
    for (let n = 2; n < 6; n++) client.stream.write(pattern(1460, n));
    world.advance(300);
    assert.equal(far.bytes.length, 6 * 1460);
    assert.ok(world.now - began < 1000);
    assert.deepEqual(far.bytes.subarray(1460, 2920), Buffer.from(pattern(1460, 1)));
  });

  test("RFC 6582 §3.2: several losses in one window are repaired one a round trip, without a time-out", () => {
    const { world, link, client, far } = connected({ delay: 50 });
    const began = world.now;
    for (let n = 0; n < 10; n++) {
      link.change({ loss: n === 2 || n === 4 ? 1 : 0 });
      client.stream.write(pattern(500, n));
    }
    world.advance(450);
    assert.equal(far.bytes.length, 5000);
    assert.ok(world.now - began < 1000);
  });

  test("RFC 6582 §3.2: while several losses of one window are repaired no more than half of it is on its way", () => {
    const { world, link, client } = connected({ delay: 100 });
    const lines = transcript(world);
    const burst = (): number => lines.splice(0).filter((line) => line.startsWith("> ACK 1460")).length;
    client.stream.write(pattern(2_000_000));
    world.advance(550);
    burst();
    link.change({ loss: 0.15 });
    world.advance(100);
    link.change({ loss: 0 });
    const bursts = [burst()];
    assert.equal(world.counts.dropped.get("lost"), 3);
    for (let n = 0; n < 4; n++) {
      world.advance(200);
      bursts.push(burst());
    }
    assert.deepEqual(bursts, [24, 10, 11, 12, 12]);
  });

  test("RFC 5681 §3.1: the threshold is held while the same segment is lost again", () => {
    const { world, link, client } = connected({ delay: 100 });
    const lines = transcript(world);
    client.stream.write(pattern(2_000_000));
    world.advance(600);
    link.change({ loss: 1 });
    world.advance(1500);
    link.change({ loss: 0 });
    lines.splice(0);
    const bursts: number[] = [];
    for (let n = 0; n < 12; n++) {
      world.advance(200);
      const count = lines.splice(0).filter((line) => line.startsWith("> ACK ")).length;
      if (count > 0) bursts.push(count);
    }
    assert.deepEqual(bursts.slice(1, 5), [3, 6, 12, 24], "slow start, up to half of what was on its way");
  });

  test("RFC 5681 §3.1: what is on its way grows from few segments, and shrinks to one after a time-out", () => {
    const { world, link, client } = connected({ delay: 100 });
    const lines = transcript(world);
    const burst = (): number => lines.splice(0).filter((line) => line.startsWith("> ACK 1460")).length;
    client.stream.write(pattern(500_000));
    const bursts = [burst()];
    for (let n = 0; n < 2; n++) {
      world.advance(200);
      bursts.push(burst());
    }
    assert.deepEqual(bursts, [3, 6, 12]);
    link.change({ loss: 1 });
    world.advance(150);
    link.change({ loss: 0 });
    burst();
    world.advance(900);
    assert.equal(burst(), 1);
  });

  test("RFC 5681 §3.1: after a time-out everything is sent again, more each round trip", () => {
    const { world, link, client, far } = connected({ delay: 50 });
    client.stream.write(pattern(100_000));
    world.advance(5000);
    link.change({ loss: 1 });
    client.stream.write(pattern(29_200));
    world.advance(10);
    link.change({ loss: 0 });
    world.advance(1000 + 6 * 100);
    assert.equal(far.bytes.length, 129_200);
  });

  test("RFC 6298 §2: the time-out follows the path's delay, at least a second; §5.7: three after a SYN was lost", () => {
    const trip = new RoundTrip();
    const at = (ms: number) => ms as Parameters<RoundTrip["begin"]>[1];
    assert.equal(trip.timeout, 1000);
    trip.begin(1, at(0));
    trip.finish(at(2000));
    assert.equal(trip.timeout, 2000 + 4 * 1000);
    trip.begin(2, at(5000));
    trip.finish(at(7000));
    assert.equal(trip.timeout, 2000 + 4 * 750);
    trip.expire();
    assert.equal(trip.timeout, 10_000);
    for (let n = 0; n < 9; n++) trip.expire();
    assert.equal(trip.timeout, 60_000);
    trip.recover();
    assert.equal(trip.timeout, 5000);
    const other = new RoundTrip();
    other.begin(1, at(0));
    other.expire();
    other.finish(at(1500));
    other.recover();
    assert.equal(other.timeout, 3000, "Karn: what was sent twice was not measured");
  });
});

test("RFC 5681: a slow link with a short queue is kept busy, and loses little", () => {
  const { world, client, far } = connected({ delay: 25, rate: 1e6, queue: 20_000 });
  const began = world.now;
  let finished = 0;
  far.stream.onEnd = () => (finished = world.now);
  client.stream.write(pattern(1_000_000));
  client.stream.end();
  world.settle();
  const share = (1_000_000 * 8) / 1e6 / ((finished - began) / 1000);
  assert.ok(share > 0.8 && share < 1, `${share} of the rate`);
  assert.ok((world.counts.dropped.get("queue-full") ?? 0) < 50);
});

suite("a receiver that does not read", () => {
  test("RFC 9293 §3.8.6.1: its window closes, is asked for, and opens", () => {
    const { world, client, far } = connected({ delay: 10 });
    far.stream.pause();
    const lines = transcript(world);
    client.stream.write(pattern(200_000));
    world.advance(600_000);
    assert.equal(far.bytes.length, 0);
    assert.deepEqual(client.log, ["open"], "however long it takes");
    const probes = lines.filter((line) => line === "> ACK 1");
    assert.ok(probes.length >= 5 && probes.length < 30, String(probes.length));
    far.stream.resume();
    world.settle();
    assert.deepEqual(far.bytes, Buffer.from(pattern(200_000)));
  });

  test("the other direction goes on meanwhile, and its end comes when it reads again", () => {
    const { world, client, far } = connected({ delay: 10 });
    far.stream.pause();
    client.stream.write(pattern(100_000));
    world.advance(10_000);
    far.stream.write(pattern(300_000, 1));
    far.stream.end();
    world.settle();
    assert.deepEqual(client.bytes, Buffer.from(pattern(300_000, 1)));
    assert.deepEqual(client.log, ["open", "end"]);
    client.stream.end();
    far.stream.resume();
    world.settle();
    assert.deepEqual([far.bytes.length, far.log], [100_000, ["end", "closed: finished"]]);
  });

  test("the end comes before the close, also when it was paused; a reset does not wait, and ends it", () => {
    const { world, client, far } = connected({ delay: 10 });
    client.stream.pause();
    far.stream.end();
    client.stream.end();
    world.settle();
    assert.deepEqual([client.log, far.log], [["open"], ["end", "closed: finished"]]);
    client.stream.resume();
    assert.deepEqual(client.log, ["open", "end", "closed: finished"]);
    for (const by of ["near", "far"] as const) {
      const other = connected({ delay: 10 });
      other.client.stream.pause();
      other.far.say("never read");
      other.far.stream.end();
      other.world.settle();
      if (by === "far") other.far.stream.reset();
      else other.client.stream.reset();
      other.world.settle();
      other.client.stream.resume();
      assert.deepEqual(other.client.log, ["open", by === "far" ? "closed: reset" : "closed: aborted"]);
      assert.equal(other.client.text, "");
    }
  });

  test("a window that nobody tells about any more is given up", () => {
    const { world, link, client, far } = connected();
    far.stream.pause();
    client.stream.write(pattern(200_000));
    world.advance(60_000);
    link.change({ loss: 1 });
    world.advance(300_000);
    assert.deepEqual(client.log, ["open", "closed: timed-out"]);
  });

  test("write says when too much waits, and onDrain when it does not", () => {
    const { world, client } = connected({ delay: 10 });
    let drained = 0;
    client.stream.onDrain = () => drained++;
    assert.equal(client.stream.write(pattern(60_000)), true);
    assert.equal(client.stream.write(pattern(60_000)), false);
    world.settle();
    assert.equal(drained, 1);
    assert.equal(client.stream.write(pattern(10)), true);
    world.settle();
    assert.equal(drained, 1);
  });
});

test("what comes twice, late, or overlapping is put in order once", () => {
  const stream = new Reassembly(0xffff_fffe);
  const take = (sequence: number, ...bytes: number[]) =>
    Buffer.concat(stream.push(sequence >>> 0, Uint8Array.from(bytes))).toString("hex");
  assert.equal(take(2, 4, 5), "");
  assert.equal(take(0, 2, 3), "");
  assert.equal(take(0, 2, 3), "");
  assert.equal(take(0xffff_ffff, 1, 2, 3, 4), "");
  assert.equal(take(0xffff_fffe, 0), "000102030405", "over the end of the numbers");
  assert.equal(take(0, 9, 9, 9, 9), "");
  assert.equal(take(3, 9, 6), "06");
  assert.equal(stream.next, 5);
});

test("what waits to be sent is read from anywhere, and forgotten from the front", () => {
  const queue = new SendQueue();
  for (const chunk of [[0, 1], [], [2, 3, 4], [5]]) queue.push(Uint8Array.from(chunk));
  const read = (at: number, length: number) => [...queue.read(at, length)];
  assert.deepEqual(
    [read(0, 6), read(1, 3), read(4, 2)],
    [
      [0, 1, 2, 3, 4, 5],
      [1, 2, 3],
      [4, 5],
    ],
  );
  queue.drop(3);
  assert.deepEqual([queue.length, read(0, 2), read(2, 1)], [3, [3, 4], [5]]);
});

test("a gateway for IPv6 whose host has no cable: nothing throws, and it times out", () => {
  const { world, link, left, server } = pair();
  const client = new Program(left.connect(server));
  world.advance(10);
  left.detach(link);
  client.say("into nowhere");
  world.settle(400_000);
  assert.deepEqual(client.log, ["open", "closed: timed-out"]);
  assert.throws(() => left.connect(toAddress("10.0.0.2", 80)), { code: "NATLAB_ADDRESS" });
});
