import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, blankAddress, formatAddress } from "../../src/core/base/address.ts";
import { encodeUtf8 } from "../../src/core/base/utf8.ts";
import { Attribute, MessageClass, Method } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../src/core/stun/writer.ts";
import { natBehavior } from "../../src/natlab/behavior.ts";
import { InsideToOutside } from "../../src/natlab/firewall/inside-to-outside.ts";
import { replaceAddress } from "../../src/natlab/payload.ts";
import { toAddress } from "../../src/natlab/surroundings.ts";
import { listen, say } from "./inbox.ts";
import { behind, parse } from "./observe.ts";

test("IPv4 is translated and IPv6 routed, by one box", () => {
  const { world, links, gateway, client, servers } = behind(1, natBehavior());
  const [home, internet] = links as [(typeof links)[0], (typeof links)[0]];
  gateway.outside(internet, "203.0.113.10", "2001:db8::1").inside(home, "2001:db8:1::1/64");
  client.attach(home, "2001:db8:1::2");
  const far = world.host("far").attach(internet, "2001:db8::9").socket({ port: 9 });
  const heard = listen(world, far);
  const inside = client.socket({ address: "2001:db8:1::2", port: 5000 });
  say(inside, "six", far.address);
  world.advance(0);
  assert.deepEqual(
    heard.map(({ from }) => from),
    ["[2001:db8:1::2]:5000"],
  );
  const answer = listen(world, inside);
  say(far, "back", inside.address);
  world.advance(0);
  assert.equal(answer.length, 1);
  assert.equal(servers.ask(client.socket({ port: 5000 })), "203.0.113.10:5000");
  gateway.outside(internet, "203.0.113.11", "2001:db8::7");
  say(far, "still here", inside.address);
  world.advance(0);
  assert.equal(answer.length, 2, "a new outside address changes nothing for IPv6");
});

test("hosts of two insides reach each other untranslated; private addresses are not reached from outside", () => {
  const { world, links, gateway, client, servers } = behind(1, natBehavior());
  const guests = world.link("guests");
  gateway.inside(guests, "192.168.2.1/24");
  const guest = world.host("guest").attach(guests, "192.168.2.2").socket();
  const own = client.socket();
  const heard = listen(world, guest);
  say(own, "neighbour", guest.address);
  say(servers.sockets.aa, "intruder", guest.address);
  world.advance(0);
  assert.deepEqual(
    heard.map(({ from }) => from),
    [formatAddress(own.address)],
  );
  assert.equal(gateway.nat?.mappingCount(world.now), 0);
  assert.ok(links.length === 2);
});

test("RFC 1812 §5.3.1: a packet that has no hops left makes no mapping, and one more hop does", () => {
  const { world, gateway, client, servers } = behind(1, natBehavior());
  const inside = client.socket();
  inside.send(encodeUtf8("aa"), servers.sockets.aa.address, { hopLimit: 1 });
  world.advance(0);
  assert.equal(gateway.nat?.mappingCount(world.now), 0);
  assert.deepEqual(Object.fromEntries(world.counts.dropped), { "hop-limit": 1 });
  inside.send(encodeUtf8("aa"), servers.sockets.aa.address, { hopLimit: 2 });
  world.advance(0);
  assert.equal(gateway.nat?.mappingCount(world.now), 1);
});

test("a destination that nothing leads to makes no mapping", () => {
  const { world, gateway, client } = behind(1, natBehavior());
  say(client.socket(), "nobody", toAddress("9.9.9.9", 9));
  world.advance(0);
  assert.equal(world.counts.dropped.get("unreachable"), 1);
  assert.equal(gateway.nat?.mappingCount(world.now), 0);
});

test("a reboot, or a new outside address, ends what was mapped; a new packet begins anew", () => {
  const { world, links, gateway, client, servers } = behind(1, natBehavior());
  const inside = client.socket({ port: 5000 });
  const reaches = () => {
    const heard = listen(world, inside);
    say(servers.sockets.aa, "hello", toAddress("203.0.113.10", 5000));
    world.advance(0);
    return heard.length > 0;
  };
  assert.equal(servers.ask(inside), "203.0.113.10:5000");
  assert.ok(reaches());
  gateway.reboot();
  assert.ok(!reaches());
  assert.equal(servers.ask(inside), "203.0.113.10:5000");
  assert.ok(reaches());
  gateway.outside(links[1] as (typeof links)[0], "203.0.113.77");
  assert.ok(!reaches());
  assert.equal(servers.ask(inside), "203.0.113.77:5000");
});

test("a firewall beside the NAT sees inside addresses, and stops before a mapping is made", () => {
  const { world, links } = behind(1, natBehavior());
  const home = world.link("another home");
  const internet = links[1] as (typeof links)[0];
  const nat = natBehavior({ filtering: "endpoint-independent" });
  const seen: string[] = [];
  const firewall = new InsideToOutside();
  const watching = {
    judge: (...args: Parameters<InsideToOutside["judge"]>) => {
      seen.push(formatAddress(args[1] === "outbound" ? args[0].source : args[0].destination));
      return firewall.judge(...args);
    },
  };
  world.gateway("guarded", { nat, firewall: watching }).outside(internet, "203.0.113.50").inside(home, "10.0.0.1/24");
  const inside = world.host("inside").attach(home, "10.0.0.2").socket({ port: 7000 });
  const far = world.host("far").attach(internet, "198.51.100.50").socket();
  const heard = listen(world, inside);
  say(inside, "out", far.address);
  world.advance(0);
  say(far, "in", toAddress("203.0.113.50", 7000));
  say(world.host("stranger").attach(internet, "198.51.100.51").socket(), "in", toAddress("203.0.113.50", 7000));
  world.advance(0);
  assert.deepEqual(
    heard.map(({ from }) => from),
    [formatAddress(far.address)],
  );
  assert.deepEqual(new Set(seen), new Set(["10.0.0.2:7000"]));
});

test("two NATs in a row: the hosts of two homes meet over the carrier's hairpin, where it has one", () => {
  for (const hairpin of ["none", "external"] as const) {
    const { world, links, client, servers } = behind(1, natBehavior(), natBehavior({ hairpin }));
    const [, carrier] = links as (typeof links)[0][];
    const home = world.link("second home");
    world
      .gateway("second", { nat: natBehavior() })
      .outside(carrier as (typeof links)[0], "100.64.0.20")
      .inside(home, "192.168.1.1/24");
    const [one, two] = [client.socket(), world.host("other").attach(home, "192.168.1.2").socket()];
    const [oneOutside, twoOutside] = [one, two].map((socket) => parse(servers.ask(socket))) as [Address, Address];
    const heard = listen(world, two);
    say(two, "punch", oneOutside);
    say(one, "hello", twoOutside);
    world.advance(0);
    assert.deepEqual(
      heard.map(({ from }) => from),
      hairpin === "none" ? [] : [formatAddress(oneOutside)],
    );
  }
});

test("what is sent to an outside port that nobody has makes no mapping, not even of that port", () => {
  const { world, client, gateway } = behind(1, natBehavior());
  const socket = client.socket({ port: 5000 });
  const heard = listen(world, socket);
  say(socket, "who is there?", toAddress("203.0.113.10", 5000));
  world.advance(0);
  assert.deepEqual([heard.length, gateway.nat?.mappingCount(world.now)], [0, 0]);
  assert.equal(world.counts.dropped.get("no-mapping"), 1);
});

suite("fragments", () => {
  for (const fragments of ["pass", "drop"] as const) {
    test(`${fragments}, both ways`, () => {
      const { world, links, client, servers } = behind(1, natBehavior({ fragments }));
      const inside = client.socket({ port: 5000 });
      servers.ask(inside);
      for (const link of links) link.change({ mtu: 1000 });
      const [heardIn, heardOut] = [listen(world, inside), listen(world, servers.sockets.aa)];
      inside.send(new Uint8Array(1400), servers.sockets.aa.address);
      servers.sockets.aa.send(new Uint8Array(1400), toAddress("203.0.113.10", 5000));
      world.advance(0);
      assert.deepEqual([heardIn.length, heardOut.length], fragments === "pass" ? [1, 1] : [0, 0]);
      assert.equal(world.counts.dropped.get("fragment") ?? 0, fragments === "pass" ? 0 : 2);
    });
  }
});

suite("a NAT that rewrites payloads", () => {
  const rewriting = natBehavior({
    rewritesPayload: true,
    ports: { kind: "sequential", step: 1 },
    portRange: { min: 40_000, max: 49_999 },
  });

  test("changes the plain address of a Binding response, and not the XORed one", () => {
    const { world, client, servers } = behind(1, rewriting);
    servers.sockets.aa.onMessage = (data, from) => {
      const message = new StunWriter().begin(Method.Binding, MessageClass.Success, data.subarray(4, 20));
      message.address(Attribute.MappedAddress, from).xorAddress(Attribute.XorMappedAddress, from);
      servers.sockets.aa.send(message.finish(), from);
    };
    const inside = client.socket({ port: 5000 });
    const view = new StunView();
    const seen = { plain: blankAddress(), xored: blankAddress() };
    inside.onMessage = (data) => {
      assert.equal(view.decode(data), undefined);
      assert.ok(view.addressAt(view.indexOf(Attribute.MappedAddress), seen.plain));
      assert.ok(view.xorAddressAt(view.indexOf(Attribute.XorMappedAddress), seen.xored));
    };
    const request = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(new Uint8Array(12)));
    inside.send(request.finish(), servers.sockets.aa.address);
    world.advance(0);
    assert.equal(formatAddress(seen.plain), "192.168.1.2:5000");
    assert.match(formatAddress(seen.xored), /^203\.0\.113\.10:4\d{4}$/);
  });

  test("changes text both ways, and the length of the packet with it", () => {
    const { world, client, servers } = behind(1, rewriting);
    const inside = client.socket({ port: 5000 });
    const outside = toAddress("203.0.113.10", 40_000);
    const [heardIn, heardOut] = [listen(world, inside), listen(world, servers.sockets.aa)];
    say(inside, "c=IN IP4 192.168.1.2, at 192.168.1.2:5000.", servers.sockets.aa.address);
    say(servers.sockets.aa, `Via: 203.0.113.10:${outside.port}`, outside);
    world.advance(0);
    assert.equal(heardOut[0]?.text, `c=IN IP4 203.0.113.10, at 203.0.113.10:${outside.port}.`);
    assert.equal(heardIn[0]?.text, "Via: 192.168.1.2:5000");
  });

  test("makes a packet longer, which then does not fit", () => {
    const { world, links, client, servers } = behind(1, rewriting);
    const text = encodeUtf8("at 192.168.1.2".padEnd(60));
    const inside = client.socket();
    const heard = listen(world, servers.sockets.aa);
    links[1]?.change({ mtu: 28 + text.length });
    inside.send(text, servers.sockets.aa.address, { dontFragment: true });
    world.advance(0);
    assert.deepEqual([heard.length, world.counts.dropped.get("too-big")], [0, 1]);
    links[1]?.change({ mtu: 29 + text.length });
    inside.send(text, servers.sockets.aa.address, { dontFragment: true });
    world.advance(0);
    assert.equal(heard.length, 1);
  });

  test("leaves what is not its address", () => {
    const [from, to] = [toAddress("192.168.1.2", 5000), toAddress("203.0.113.10", 40_000)];
    const kept = "192.168.1.20 1192.168.1.2 192.168.1.2.1 92.168.1.2";
    const bytes = encodeUtf8(kept);
    assert.equal(replaceAddress(bytes, from, to), bytes, "the same bytes");
    const text = (of: string) => String.fromCharCode(...replaceAddress(encodeUtf8(of), from, to));
    assert.equal(
      text("192.168.1.2 192.168.1.2:5000 192.168.1.2:5001"),
      "203.0.113.10 203.0.113.10:40000 203.0.113.10:5001",
    );
    const ones = Uint8Array.of(1, 1, 1, 1, 1);
    assert.deepEqual(replaceAddress(ones, toAddress("1.1.1.1", 9), to), Uint8Array.of(203, 0, 113, 10, 1));
    const binary = Uint8Array.of(1, 0x13, 0x88, 192, 168, 1, 2, 9, 192, 168, 1, 2);
    assert.deepEqual(
      replaceAddress(binary, from, to),
      Uint8Array.of(1, 0x9c, 0x40, 203, 0, 113, 10, 9, 203, 0, 113, 10),
    );
  });

  test("changes nothing unless it is declared to", () => {
    const { world, client, servers } = behind(1, natBehavior());
    const heard = listen(world, servers.sockets.aa);
    say(client.socket(), "192.168.1.2", servers.sockets.aa.address);
    world.advance(0);
    assert.equal(heard[0]?.text, "192.168.1.2");
  });
});
