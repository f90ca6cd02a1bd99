import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Instant } from "../../src/core/base/machine.ts";
import { Agenda } from "../../src/natlab/agenda.ts";
import { toAddress } from "../../src/natlab/surroundings.ts";
import { World } from "../../src/natlab/world.ts";
import { listen, say } from "./inbox.ts";

test("what is due happens in order of time, then of asking; what is cancelled does not", () => {
  const plan = fc.array(fc.record({ at: fc.nat(20), cancel: fc.boolean() }), { maxLength: 60 });
  fc.assert(
    fc.property(plan, (steps) => {
      const agenda = new Agenda();
      const done: { at: number; n: number }[] = [];
      const made = steps.map(({ at }, n) => agenda.at(at as Instant, () => done.push({ at: agenda.now, n })));
      for (const [n, { cancel }] of steps.entries()) if (cancel) made[n]?.cancel();
      agenda.runUntil(20 as Instant);
      const expected = steps.flatMap(({ at, cancel }, n) => (cancel ? [] : [{ at, n }]));
      assert.deepEqual(
        done,
        expected.sort((a, b) => a.at - b.at || a.n - b.n),
      );
    }),
  );
});

test("what happens may ask for more, also for what has passed", () => {
  const world = new World();
  const seen: number[] = [];
  world.at(5 as Instant, () => world.at(1 as Instant, () => seen.push(world.now)));
  world.advance(4);
  assert.deepEqual([seen, world.now], [[], 4]);
  world.advance(6);
  assert.deepEqual([seen, world.now], [[5], 10]);
});

test("settle ends at the last event, or at its limit", () => {
  const world = new World();
  world.at(40 as Instant, () => {});
  world.settle();
  assert.equal(world.now, 40);
  let ticks = 0;
  const tick = () => {
    ticks++;
    world.at((world.now + 10) as Instant, tick);
  };
  tick();
  world.settle(100);
  assert.equal(ticks, 11);
});

test("an alarm fires once, at the deadline it was told last", () => {
  const world = new World();
  const fired: number[] = [];
  const alarm = world.alarm(() => fired.push(world.now));
  alarm.follow(10 as Instant);
  alarm.follow(30 as Instant);
  alarm.follow(20 as Instant);
  world.advance(100);
  assert.deepEqual(fired, [20]);
  alarm.follow(150 as Instant);
  alarm.follow(undefined);
  alarm.follow(160 as Instant);
  alarm.stop();
  world.advance(100);
  assert.deepEqual(fired, [20]);
});

suite("hosts", () => {
  function pair() {
    const world = new World();
    const link = world.link("lan");
    const a = world.host("a").attach(link, "192.0.2.1", "2001:db8::1");
    const b = world.host("b").attach(link, "192.0.2.2", "2001:db8::2");
    return { world, link, a, b };
  }

  test("sockets hear what is sent to their address and port, and nothing else", () => {
    const { world, a, b } = pair();
    const [four, six] = [b.socket({ port: 5000 }), b.socket({ address: "2001:db8::2", port: 5000 })];
    const [heardFour, heardSix] = [listen(world, four), listen(world, six)];
    const from = a.socket({ port: 4000 });
    say(from, "four", four.address);
    say(a.socket({ address: "2001:db8::1", port: 4001 }), "six", six.address);
    say(from, "nobody", toAddress("192.0.2.2", 5001));
    say(from, "nowhere", toAddress("192.0.2.9", 5000));
    world.settle();
    assert.deepEqual(
      heardFour.map(({ text, from }) => ({ text, from })),
      [{ text: "four", from: "192.0.2.1:4000" }],
    );
    assert.deepEqual(
      heardSix.map(({ from }) => from),
      ["[2001:db8::1]:4001"],
    );
    assert.deepEqual(Object.fromEntries(world.counts.dropped), { "no-socket": 1, unreachable: 1 });
  });

  test("send copies: the sender may write over its bytes", () => {
    const { world, a, b } = pair();
    const to = b.socket();
    const heard = listen(world, to);
    const bytes = Uint8Array.of(0x61);
    a.socket().send(bytes, to.address);
    bytes[0] = 0x62;
    world.settle();
    assert.equal(heard[0]?.text, "a");
  });

  test("a closed socket neither sends nor hears, and frees its port", () => {
    const { world, a, b } = pair();
    const [from, to] = [a.socket(), b.socket({ port: 5000 })];
    const heard = listen(world, to);
    assert.throws(() => b.socket({ port: 5000 }), { code: "NATLAB_PORT" });
    to.close();
    to.close();
    say(from, "late", to.address);
    from.close();
    say(from, "later", to.address);
    world.settle();
    assert.equal(heard.length, 0);
    assert.equal(world.counts.carriedCount, 1);
    b.socket({ port: 5000 });
  });

  test("two sockets of one host reach each other without a link", () => {
    const { world, a } = pair();
    const [one, other] = [a.socket(), a.socket()];
    assert.notEqual(one.address.port, other.address.port);
    const heard = listen(world, other);
    say(one, "self", other.address);
    assert.equal(heard.length, 0, "never while the sender still runs");
    world.settle();
    assert.equal(heard.length, 1);
    assert.equal(world.counts.carriedCount, 0);
  });

  test("a host that is unplugged reaches nobody, and comes back with another address", () => {
    const { world, link, a, b } = pair();
    const [from, to] = [a.socket(), b.socket()];
    const heard = listen(world, to);
    a.detach(link);
    say(from, "gone", to.address);
    say(to, "gone", from.address);
    a.attach(link, "192.0.2.7");
    say(a.socket(), "back", to.address);
    world.settle();
    assert.deepEqual(
      heard.map(({ text }) => text),
      ["back"],
    );
    assert.equal(world.counts.dropped.get("unreachable"), 2);
  });

  test("misuse throws with a stable code", () => {
    const { a } = pair();
    assert.throws(() => a.socket({ address: "192.0.2.77" }), { code: "NATLAB_ADDRESS" });
    assert.throws(() => a.socket({ address: "not an address" }), { code: "NATLAB_ADDRESS" });
    assert.throws(() => a.socket().send(new Uint8Array(1), toAddress("2001:db8::1", 1)), { code: "NATLAB_ADDRESS" });
    assert.throws(() => new World().host("bare").socket(), { code: "NATLAB_ADDRESS" });
    const world = new World();
    assert.throws(() => world.router("r").attach(world.link("l"), "192.0.2.1", ["nonsense"]), {
      code: "NATLAB_ADDRESS",
    });
  });
});

suite("multicast", () => {
  const group = "239.1.2.3";
  function members() {
    const world = new World();
    const [lan, other] = [world.link("lan", { delay: 2 }), world.link("other")];
    world.router("router").attach(lan, "10.0.0.1", ["0.0.0.0/0"]).attach(other, "10.0.1.1", ["0.0.0.0/0"]);
    const hosts = [2, 3, 4].map((n) => world.host(`host ${n}`).attach(lan, `10.0.0.${n}`));
    const far = world.host("far").attach(other, "10.0.1.2");
    const sockets = [...hosts, far].map((host) => host.socket({ port: 5000 }));
    return { world, lan, hosts, sockets, heard: sockets.map((socket) => listen(world, socket)) };
  }

  test("is heard by every member on the link, the sender's own host included, and by nobody else", () => {
    const { world, hosts, sockets, heard } = members();
    for (const n of [0, 1, 3]) sockets[n]?.join(group);
    sockets[1]?.join(group);
    hosts[1]?.socket({ port: 5001 }).join(group);
    say(sockets[0] as (typeof sockets)[0], "all", toAddress(group, 5000));
    world.settle();
    assert.deepEqual(
      heard.map((one) => one.map(({ from, at }) => `${from} at ${at}`)),
      [["10.0.0.2:5000 at 0"], ["10.0.0.2:5000 at 2"], [], []],
    );
  });

  test("a socket that closes hears no more, others on its host do; a host that is unplugged does not", () => {
    const { world, lan, hosts, sockets, heard } = members();
    const second = hosts[1]?.socket({ port: 6000 });
    assert.ok(second);
    const heardSecond = listen(world, second);
    for (const socket of [sockets[1], sockets[2], second]) socket?.join(group);
    sockets[1]?.close();
    for (const port of [5000, 6000]) say(sockets[0] as (typeof sockets)[0], "all", toAddress(group, port));
    world.settle();
    hosts[2]?.detach(lan);
    say(sockets[0] as (typeof sockets)[0], "all", toAddress(group, 5000));
    world.settle();
    assert.deepEqual([heard[1]?.length, heard[2]?.length, heardSecond.length], [0, 1, 1]);
    second.close();
    say(sockets[0] as (typeof sockets)[0], "nobody", toAddress(group, 5000));
    assert.equal(world.counts.dropped.get("unreachable"), 1);
  });

  test("each member has bytes of its own, and its own luck", () => {
    const { world, lan, sockets, heard } = members();
    for (const n of [1, 2]) sockets[n]?.join(group);
    lan.change({ loss: 0.5 });
    for (let n = 0; n < 200; n++) say(sockets[0] as (typeof sockets)[0], "x", toAddress(group, 5000));
    world.settle();
    const [one = [], two = []] = heard.slice(1, 3);
    assert.ok(one.length > 60 && one.length < 140 && two.length > 60 && two.length < 140);
    assert.equal(one.length + two.length + (world.counts.dropped.get("lost") ?? 0), 400);
  });

  test("a host on two links hears on each what is sent there, and may write into it", () => {
    const world = new World();
    const [one, two] = [world.link("one"), world.link("two")];
    const both = world.host("both").attach(one, "10.0.1.1").attach(two, "10.0.2.1");
    const [ownOne, ownTwo] = [both.socket({ port: 5000 }), both.socket({ address: "10.0.2.1", port: 5000 })];
    const there = world.host("there").attach(one, "10.0.1.2").socket({ port: 5000 });
    for (const socket of [ownOne, ownTwo, there]) socket.join(group);
    const heardTwo = listen(world, ownTwo);
    const heardThere = listen(world, there);
    ownOne.onMessage = (data) => data.fill(0);
    say(ownOne, "first", toAddress(group, 5000));
    world.settle();
    assert.deepEqual([heardTwo.length, heardThere.map(({ text }) => text)], [0, ["first"]]);
  });

  test("only a group of the socket's family can be joined", () => {
    const { sockets } = members();
    assert.throws(() => sockets[0]?.join("10.0.0.3"), { code: "NATLAB_ADDRESS" });
    assert.throws(() => sockets[0]?.join("ff02::fb"), { code: "NATLAB_ADDRESS" });
    const world = new World();
    const link = world.link("six");
    const [a, b] = [1, 2].map((n) => world.host(`h${n}`).attach(link, `2001:db8::${n}`).socket({ port: 5353 }));
    assert.ok(a && b);
    const heard = listen(world, b);
    b.join("ff02::fb");
    say(a, "mdns", toAddress("ff02::fb", 5353));
    world.settle();
    assert.equal(heard.length, 1);
  });
});

suite("routers", () => {
  test("carry packets over several links, the longest prefix first", () => {
    const world = new World();
    const [left, middle, right, wrong] = ["left", "middle", "right", "wrong"].map((name) =>
      world.link(name, { delay: 1 }),
    ) as [ReturnType<World["link"]>, ReturnType<World["link"]>, ReturnType<World["link"]>, ReturnType<World["link"]>];
    world.router("r3").attach(middle, "10.0.1.3", ["10.0.0.0/8"]).attach(wrong, "10.9.0.1", ["0.0.0.0/0"]);
    world.router("r1").attach(left, "10.0.0.1", ["0.0.0.0/0"]).attach(middle, "10.0.1.1", ["10.0.0.0/24"]);
    world.router("r2").attach(middle, "10.0.1.2", ["10.0.2.0/24"]).attach(right, "10.0.2.1", ["0.0.0.0/0"]);
    const a = world.host("a").attach(left, "10.0.0.2").socket();
    const b = world.host("b").attach(right, "10.0.2.2").socket();
    const [heardA, heardB] = [listen(world, a), listen(world, b)];
    say(a, "there", b.address);
    world.settle();
    say(b, "and back", heardB[0]?.source ?? b.address);
    world.settle();
    assert.deepEqual(heardB[0]?.at, 3);
    assert.deepEqual(
      heardA.map(({ text, at }) => ({ text, at })),
      [{ text: "and back", at: 6 }],
    );
  });

  test("of two links the one leads there that has the longest prefix, whichever was attached first", () => {
    for (const order of [0, 1]) {
      const world = new World();
      const [near, wide, narrow] = [world.link("near"), world.link("wide"), world.link("narrow")];
      const hub = world.router("hub").attach(near, "10.0.0.1", ["0.0.0.0/0"]);
      for (const n of [order, 1 - order]) hub.attach(n === 0 ? wide : narrow, "10.0.1.1");
      world.router("default").attach(wide, "10.0.1.2", ["0.0.0.0/0"]);
      const beyond = world.link("beyond");
      world.router("right").attach(narrow, "10.0.1.2", ["10.2.0.0/16"]).attach(beyond, "10.2.0.1");
      const to = world.host("to").attach(beyond, "10.2.0.2").socket();
      const heard = listen(world, to);
      say(world.host("from").attach(near, "10.0.0.2").socket(), "hello", to.address);
      world.settle();
      assert.equal(heard.length, 1);
    }
  });

  test("a loop ends with the hop limit", () => {
    const world = new World();
    const [one, two] = [world.link("one"), world.link("two")];
    world.router("r1").attach(one, "10.0.0.1", ["0.0.0.0/0"]).attach(two, "10.0.1.1", ["0.0.0.0/0"]);
    world.router("r2").attach(one, "10.0.0.2", ["0.0.0.0/0"]).attach(two, "10.0.1.2", ["0.0.0.0/0"]);
    const a = world.host("a").attach(one, "10.0.0.9").socket();
    a.send(new Uint8Array(1), toAddress("192.0.2.1", 9), { hopLimit: 5 });
    world.settle();
    assert.deepEqual(Object.fromEntries(world.counts.dropped), { "hop-limit": 1 });
    assert.equal(world.counts.carriedCount, 5);
  });
});
