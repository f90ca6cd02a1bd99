import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, formatAddress } from "../../../src/core/base/address.ts";
import { type NatBehavior, natBehavior } from "../../../src/natlab/behavior.ts";
import type { Host } from "../../../src/natlab/host.ts";
import { TcpMapping } from "../../../src/natlab/nat/tcp-mapping.ts";
import { toAddress } from "../../../src/natlab/surroundings.ts";
import { Flag } from "../../../src/natlab/tcp/segment.ts";
import { World } from "../../../src/natlab/world.ts";
import { forge, Program, transcript } from "../tcp/pair.ts";

const kinds = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;

/** Hosts behind one NAT, and a server of two addresses and two ports each, that tells each client its address. */
function lab(departures: Partial<NatBehavior> = {}, delay = 0) {
  const world = new World();
  const [home, internet] = [world.link("home", { delay }), world.link("internet", { delay })];
  const gateway = world
    .gateway("nat", { nat: natBehavior(departures) })
    .outside(internet, "203.0.113.10")
    .inside(home, "192.168.1.1/24");
  const client = world.host("client").attach(home, "192.168.1.2");
  const server = world.host("server").attach(internet, "198.51.100.1", "198.51.100.2");
  const accepted: Program[] = [];
  for (const address of ["198.51.100.1", "198.51.100.2"]) {
    for (const port of [80, 81]) server.listen({ address, port }, (one) => accepted.push(new Program(one)));
  }
  const far = (address: 1 | 2, port: number): Address => toAddress(`198.51.100.${address}`, port);
  const seen = (): string => formatAddress((accepted.at(-1) as Program).stream.remoteAddress);
  /** Opens a connection from inside; what the server sees as its source. */
  const opened = (to: Address, port = 5000, from: Host = client): { program: Program; outside: string } => {
    const program = new Program(from.connect(to, { port }));
    world.advance(10 * delay);
    assert.deepEqual(program.log, ["open"]);
    return { program, outside: seen() };
  };
  /** Whether a connection from outside to `to` opens, what becomes of it, and who is called. */
  const knock = (to: Address, from: { address: string; port: number }, wait = 100) => {
    const program = new Program(server.connect(to, from));
    world.advance(wait + 10 * delay);
    return program.log.join();
  };
  return { world, home, internet, gateway, client, server, accepted, far, opened, knock };
}

const outside = toAddress("203.0.113.10", 5000);

suite("mapping", () => {
  for (const mapping of kinds) {
    test(`RFC 5382 REQ-1: ${mapping}`, () => {
      const { opened, far } = lab({ mapping, ports: { kind: "sequential", step: 2 } });
      const [a, b, c] = [far(1, 80), far(1, 81), far(2, 80)].map((to) => opened(to).outside);
      assert.equal(a === b, mapping !== "address-and-port-dependent");
      assert.equal(a === c, mapping === "endpoint-independent");
    });
  }

  test("UDP's mappings are others: the same inside port has the same outside port for each, and limits count both", () => {
    const { world, client, gateway, opened, far, server } = lab({ maxMappings: 2 });
    const socket = client.socket({ port: 5000 });
    socket.send(new Uint8Array(1), server.socket({ port: 9 }).address);
    world.advance(0);
    assert.equal(opened(far(1, 80)).outside, "203.0.113.10:5000");
    assert.equal(gateway.nat?.mappingCount(world.now), 2);
    client.connect(far(1, 80), { port: 6000 });
    world.advance(0);
    assert.equal(world.counts.dropped.get("mapping-limit"), 1);
  });

  test("RFC 4787 REQ-2, RFC 5382: a host has the same outside address for UDP and TCP", () => {
    const { world, internet, gateway, client, home, server, opened, far } = lab();
    gateway.outside(internet, "203.0.113.10", "203.0.113.11");
    const heard: string[] = [];
    const echo = server.socket({ port: 9 });
    echo.onMessage = (_, from) => heard.push(formatAddress(from));
    const other = world.host("other").attach(home, "192.168.1.3");
    for (const host of [client, other]) host.socket({ port: 7000 }).send(new Uint8Array(1), echo.address);
    world.advance(0);
    for (const [n, host] of [client, other].entries()) {
      assert.equal(opened(far(1, 80), 7000, host).outside, heard[n]);
    }
    assert.notEqual(heard[0], heard[1]);
  });

  test("two hosts with the same port get two; both connections are apart", () => {
    const { world, home, opened, far, accepted } = lab();
    const other = world.host("other").attach(home, "192.168.1.3");
    const [one, two] = [opened(far(1, 80)), opened(far(1, 80), 5000, other)];
    assert.notEqual(one.outside, two.outside);
    one.program.say("one");
    two.program.say("two");
    world.advance(0);
    assert.deepEqual(
      accepted.map(({ text }) => text),
      ["one", "two"],
    );
  });

  test("overloaded ports: segments find the host whose connection they belong to", () => {
    const { world, home, opened, far, accepted } = lab({ ports: { kind: "overloading" } });
    const other = world.host("other").attach(home, "192.168.1.3");
    const [one, two] = [opened(far(1, 80)), opened(far(2, 80), 5000, other)];
    assert.equal(one.outside, two.outside);
    for (const [n, program] of accepted.entries()) program.say(`to ${n}`);
    world.advance(0);
    assert.deepEqual([one.program.text, two.program.text], ["to 0", "to 1"]);
  });
});

suite("filtering", () => {
  for (const filtering of kinds) {
    test(`RFC 5382 REQ-3: ${filtering}: who may open a connection to a mapping`, () => {
      const { world, client, opened, knock, far } = lab({ filtering });
      opened(far(1, 80));
      client.listen({ port: 5000 }, (one) => new Program(one));
      const samehost = knock(outside, { address: "198.51.100.1", port: 9000 });
      const another = knock(outside, { address: "198.51.100.2", port: 9000 });
      assert.equal(samehost, filtering === "address-and-port-dependent" ? "" : "open");
      assert.equal(another, filtering === "endpoint-independent" ? "open" : "");
      const refused = Number(samehost === "") + Number(another === "");
      assert.equal(world.counts.dropped.get("filtered") ?? 0, refused);
    });
  }

  test("endpoint-independent lets in whoever opens, and not who speaks in the middle", () => {
    const { world, internet, opened, far, client } = lab({ filtering: "endpoint-independent", strayTcp: "reset" });
    opened(far(1, 80));
    client.listen({ port: 5000 }, () => assert.fail("nobody opens"));
    const lines = transcript(world);
    const from = ["198.51.100.1", 9000] as const;
    for (const flags of [Flag.Ack, Flag.Rst, Flag.Syn | Flag.Ack]) {
      forge({ world, link: internet }, from, ["203.0.113.10", 5000], { flags });
    }
    world.advance(100);
    assert.equal(world.counts.dropped.get("filtered"), 3);
    assert.equal(lines.filter((line) => line.includes("> RST")).length, 3, "the forged one, and no answer to it");
  });

  test("RFC 5382 REQ-2: two hosts behind strict NATs open toward each other at the same time", () => {
    const world = new World();
    const internet = world.link("internet", { delay: 10 });
    const nat = natBehavior({ filtering: "address-and-port-dependent" });
    const hosts = [1, 2].map((n) => {
      const home = world.link(`home ${n}`);
      world.gateway(`nat ${n}`, { nat }).outside(internet, `203.0.113.${n}`).inside(home, "192.168.1.1/24");
      return world.host(`host ${n}`).attach(home, "192.168.1.2");
    });
    const [one, two] = hosts.map((host, n) =>
      host.connect(toAddress(`203.0.113.${2 - n}`, 6002 - n), { port: 6001 + n }),
    );
    const programs = [one, two].map((connection) => new Program(connection as NonNullable<typeof connection>));
    world.advance(100);
    programs[0]?.say("hello");
    world.advance(100);
    assert.deepEqual([programs[1]?.text, programs[0]?.log, programs[1]?.log], ["hello", ["open"], ["open"]]);
  });
});

suite("RFC 5382 REQ-4: an unsolicited SYN", () => {
  test("is dropped", () => {
    const { world, knock } = lab();
    const lines = transcript(world);
    assert.equal(knock(outside, { address: "198.51.100.1", port: 9000 }, 500), "");
    assert.deepEqual(lines, ["> SYN"]);
    assert.equal(world.counts.dropped.get("no-mapping"), 1);
  });
  test("is refused at once, which spoils an opening from both sides", () => {
    const { knock } = lab({ unsolicitedSyn: "reset" });
    assert.equal(knock(outside, { address: "198.51.100.1", port: 9000 }, 0), "closed: refused");
  });
  test("is not refused within six seconds, nor later if it is met", () => {
    const { world, client, server } = lab({ unsolicitedSyn: "reset-later" });
    const lines = transcript(world);
    const met = new Program(server.connect(outside, { address: "198.51.100.2", port: 9000 }));
    world.advance(5500);
    assert.deepEqual(met.log, []);
    const program = new Program(client.connect(toAddress("198.51.100.2", 9000), { port: 5000 }));
    world.advance(20_000);
    assert.deepEqual([met.log, program.log], [["open"], ["open"]]);
    assert.ok(!lines.some((line) => line.includes("RST")), lines.join());
  });
  test("is refused after six seconds, if nobody meets it", () => {
    const { world, server } = lab({ unsolicitedSyn: "reset-later" });
    const program = new Program(server.connect(outside, { address: "198.51.100.1", port: 9000 }));
    world.advance(6000);
    assert.deepEqual(program.log, ["closed: refused"]);
  });
});

suite("RFC 5382 REQ-5: lifetimes", () => {
  /** Whether the server's words still arrive after `silence`, in a connection that `prepare` has brought somewhere. */
  function lives(silence: number, departures: Partial<NatBehavior> = {}): boolean {
    const { world, opened, far, accepted } = lab(departures);
    const { program } = opened(far(1, 80));
    world.advance(silence);
    accepted[0]?.say("still there?");
    world.advance(10);
    return program.text !== "";
  }

  test("an established connection may be silent for two hours and four minutes, or as declared", () => {
    assert.deepEqual([lives(7_439_999), lives(7_440_000)], [true, false]);
    assert.deepEqual([lives(59_999, { tcpLifetime: 60_000 }), lives(60_000, { tcpLifetime: 60_000 })], [true, false]);
  });

  test("whatever passes either way keeps it", () => {
    const { world, opened, far, accepted } = lab({ tcpLifetime: 60_000 });
    const { program } = opened(far(1, 80));
    for (let n = 0; n < 5; n++) {
      world.advance(40_000);
      if (n % 2 === 0) program.say("x");
      else accepted[0]?.say("y");
    }
    world.advance(0);
    assert.deepEqual([program.text, accepted[0]?.text], ["yy", "xxx"]);
  });

  test("one that only opens has four minutes", () => {
    const { world, internet, client, gateway, far } = lab();
    internet.change({ loss: 1 });
    client.connect(far(1, 80), { timeout: 500 });
    world.advance(1000);
    assert.equal(gateway.nat?.mappingCount(world.now), 1);
    world.advance(239_000);
    assert.equal(gateway.nat?.mappingCount(world.now), 0);
  });

  test("one that was ended has four minutes; RFC 7857 §2.2: one that was reset too", () => {
    for (const how of ["end", "reset"] as const) {
      const { world, opened, far, accepted, gateway } = lab();
      const { program } = opened(far(1, 80));
      world.advance(300_000);
      assert.equal(gateway.nat?.mappingCount(world.now), 1, how);
      program.stream[how]();
      if (how === "end") accepted[0]?.stream.end();
      world.advance(10);
      world.advance(239_980);
      assert.equal(gateway.nat?.mappingCount(world.now), 1, how);
      world.advance(20);
      assert.equal(gateway.nat?.mappingCount(world.now), 0, how);
    }
  });

  test("one that comes back after its time has to be established again", () => {
    const [inside, far] = [toAddress("10.0.0.1", 1), toAddress("9.9.9.9", 2)];
    const mapping = new TcpMapping(natBehavior(), inside, inside, inside);
    const at = (ms: number) => ms as Parameters<TcpMapping["hasSession"]>[1];
    const segment = (flags: number) => ({ sequence: 0, acknowledgment: 0, flags, window: 0, mss: undefined });
    mapping.pass(far, segment(Flag.Syn), "outbound", at(0));
    mapping.pass(far, segment(Flag.Syn | Flag.Ack), "inbound", at(0));
    assert.deepEqual([mapping.hasSession(far, at(7_439_999)), mapping.hasSession(far, at(7_440_000))], [true, false]);
    mapping.pass(far, segment(Flag.Syn), "outbound", at(8_000_000));
    assert.deepEqual([mapping.hasSession(far, at(8_239_999)), mapping.hasSession(far, at(8_240_000))], [true, false]);
  });

  test("a connection between the same ports as one that was ended is established like any other", () => {
    const { world, opened, far, accepted } = lab();
    opened(far(1, 80)).program.stream.reset();
    world.advance(1000);
    const { program } = opened(far(1, 80));
    world.advance(3_600_000);
    accepted[1]?.say("an hour later");
    world.advance(0);
    assert.equal(program.text, "an hour later");
  });

  test("a mapping lives as long as one of its connections, and a new one from the same port is as young as any", () => {
    const { world, opened, far, gateway, accepted } = lab();
    const first = opened(far(1, 80));
    const second = opened(far(2, 80));
    first.program.stream.reset();
    world.advance(1_000_000);
    assert.equal(gateway.nat?.mappingCount(world.now), 1);
    accepted[1]?.say("here");
    world.advance(0);
    assert.equal(second.program.text, "here");
    assert.equal(opened(far(1, 80)).outside, first.outside);
    world.advance(7_000_000);
    accepted[2]?.say("and here");
    world.advance(0);
    assert.equal(gateway.nat?.mappingCount(world.now), 1);
  });
});

suite("segments of connections that the NAT does not know", () => {
  test("are dropped: after a reboot it is silent, and both sides find out by themselves", () => {
    const { world, opened, far, accepted, gateway } = lab();
    const { program } = opened(far(1, 80));
    gateway.reboot();
    program.say("anyone?");
    accepted[0]?.say("anyone?");
    world.advance(1000);
    assert.deepEqual([program.log, accepted[0]?.log], [["open"], []]);
    assert.ok((world.counts.dropped.get("no-session") ?? 0) >= 1);
    assert.ok((world.counts.dropped.get("no-mapping") ?? 0) >= 1);
    world.settle(300_000);
    assert.deepEqual([program.log.at(-1), accepted[0]?.log.at(-1)], ["closed: timed-out", "closed: timed-out"]);
  });

  test("are answered with RST, from whichever side", () => {
    for (const inside of [true, false]) {
      const { world, opened, far, accepted, gateway } = lab({ strayTcp: "reset" });
      const { program } = opened(far(1, 80));
      gateway.reboot();
      const speaker = inside ? program : (accepted[0] as Program);
      speaker.say("anyone?");
      world.advance(100);
      assert.equal(speaker.log.at(-1), "closed: reset");
    }
  });

  test("a new connection begins anew", () => {
    const { opened, far, gateway } = lab();
    opened(far(1, 80));
    gateway.reboot();
    assert.equal(opened(far(1, 80), 5001).outside, "203.0.113.10:5001");
  });
});

suite("RFC 5382 REQ-8: hairpin", () => {
  for (const hairpin of ["none", "internal", "external"] as const) {
    test(hairpin, () => {
      const { world, home, client, opened, far } = lab({ hairpin, filtering: "endpoint-independent" });
      opened(far(1, 80));
      const heard: Program[] = [];
      client.listen({ port: 5000 }, (one) => heard.push(new Program(one)));
      const other = world.host("other").attach(home, "192.168.1.3");
      const program = new Program(other.connect(outside, { port: 7000 }));
      program.say("neighbour");
      world.advance(200_000);
      if (hairpin === "external") {
        assert.equal(heard[0]?.text, "neighbour");
        assert.equal(formatAddress(heard[0].stream.remoteAddress), "203.0.113.10:7000");
        return;
      }
      // With the inside source the answer goes straight back, from an address that nobody has called.
      assert.deepEqual([heard.length, program.log.at(-1)], [0, "closed: timed-out"]);
    });
  }
});

test("TCP payloads are never rewritten", () => {
  const { world, opened, far, accepted } = lab({ rewritesPayload: true });
  opened(far(1, 80)).program.say("I am 192.168.1.2:5000");
  world.advance(0);
  assert.equal(accepted[0]?.text, "I am 192.168.1.2:5000");
});
