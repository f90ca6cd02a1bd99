/** Firewalls over TCP. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { concatBytes, writeU16 } from "../../../src/core/base/bytes.ts";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import { MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import { natBehavior } from "../../../src/natlab/behavior.ts";
import { allOf, type Firewall, resetting } from "../../../src/natlab/firewall/firewall.ts";
import { InsideToOutside } from "../../../src/natlab/firewall/inside-to-outside.ts";
import { inspecting, onlyTls } from "../../../src/natlab/firewall/inspection.ts";
import { onlyPorts, withoutPorts, withoutTcp, withoutUdp } from "../../../src/natlab/firewall/port-rules.ts";
import { toAddress } from "../../../src/natlab/surroundings.ts";
import { World } from "../../../src/natlab/world.ts";
import { listen } from "../inbox.ts";
import { Program, transcript } from "../tcp/pair.ts";

/** A host behind a firewall, with a NAT or without, and a server that takes connections on some ports. */
function lab(firewall: Firewall, { nat = false, mtu = 1500 } = {}) {
  const world = new World();
  const [internet, home] = [world.link("internet", { delay: 5, mtu }), world.link("home", { mtu })];
  const gateway = world
    .gateway("firewall", { firewall, ...(nat ? { nat: natBehavior() } : {}) })
    .outside(internet, "192.0.2.1")
    .inside(home, "10.0.0.1/24");
  const inside = world.host("inside").attach(home, "10.0.0.2");
  const server = world.host("server").attach(internet, "192.0.2.2");
  const accepted: Program[] = [];
  for (const port of [80, 443, 3478]) server.listen({ port }, (one) => accepted.push(new Program(one)));
  const connect = (port: number): Program => {
    const program = new Program(inside.connect(toAddress("192.0.2.2", port)));
    world.advance(1000);
    return program;
  };
  return { world, internet, home, gateway, inside, server, accepted, connect };
}

type Lab = ReturnType<typeof lab>;

/** Whether `bytes`, in these segments, get from the client to the server, and back. */
function exchanges({ world, accepted, connect }: Lab, ...segments: readonly Uint8Array[]): readonly [boolean, boolean] {
  const through = (from: Program, to: Program): boolean => {
    const before = to.bytes.length;
    for (const bytes of segments) from.stream.write(bytes);
    world.advance(100);
    return to.bytes.length - before === concatBytes(...segments).length;
  };
  const out = connect(443);
  const outward = through(out, accepted.at(-1) as Program);
  const back = connect(443);
  return [outward, through(accepted.at(-1) as Program, back)];
}

const plain = encodeUtf8("plain bytes, a lot of them, that are no protocol of a call");
const stun = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(new Uint8Array(12))).finish();
const sip = encodeUtf8("OPTIONS sip:a@example.org SIP/2.0\r\n\r\n");
const rtp = Uint8Array.of(0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 0xff);

/** RFC 4571 §2: two bytes of length. */
function framed(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + bytes.length);
  writeU16(out, 0, bytes.length);
  out.set(bytes, 2);
  return out;
}

/** RFC 8656 §12.4, padded as over TCP. */
function channelData(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(4 + Math.ceil(bytes.length / 4) * 4);
  writeU16(out, 0, 0x4001);
  writeU16(out, 2, bytes.length);
  out.set(bytes, 4);
  return out;
}

suite("by protocol and port", () => {
  test("only TCP 443, and nothing of UDP", () => {
    const { world, inside, server, connect } = lab(onlyPorts({ tcp: [443] }));
    assert.deepEqual([connect(443).log, connect(80).log], [["open"], []]);
    const far = server.socket({ port: 443 });
    const heard = listen(world, far);
    inside.socket().send(plain, far.address);
    world.advance(100);
    assert.equal(heard.length, 0);
  });
  test("plain numbers are ports of both; other rules name theirs", () => {
    for (const [firewall, tcp80, udp80] of [
      [onlyPorts(80), true, true],
      [onlyPorts({ min: 80, max: 90 }, { tcp: [443] }), true, true],
      [onlyPorts({ udp: [80] }), false, true],
      [withoutPorts({ tcp: [{ min: 1, max: 100 }] }), false, true],
      [withoutPorts(80), false, false],
      [withoutUdp, true, false],
      [withoutTcp, false, true],
    ] as const) {
      const { world, inside, server, connect } = lab(firewall);
      assert.equal(connect(80).log.includes("open"), tcp80);
      const far = server.socket({ port: 80 });
      const heard = listen(world, far);
      inside.socket().send(plain, far.address);
      world.advance(100);
      assert.equal(heard.length === 1, udp80);
    }
  });
});

suite("RFC 6092 §3.3: inside to outside only", () => {
  test("lets in the answers, and no connection from outside", () => {
    const { world, inside, server, accepted, connect } = lab(new InsideToOutside());
    const client = connect(80);
    accepted[0]?.say("an answer");
    inside.listen({ port: 22 }, (one) => new Program(one));
    const stranger = new Program(server.connect(toAddress("10.0.0.2", 22)));
    world.advance(1000);
    assert.deepEqual([client.text, stranger.log], ["an answer", []]);
  });
  test("lets in whoever calls a port that has called, if it is endpoint-independent", () => {
    for (const filtering of ["endpoint-independent", "address-and-port-dependent"] as const) {
      const { world, inside, server } = lab(new InsideToOutside({ filtering }));
      inside.connect(toAddress("192.0.2.2", 80), { port: 7000 });
      inside.listen({ port: 7000 }, (one) => new Program(one));
      world.advance(100);
      const caller = new Program(server.connect(toAddress("10.0.0.2", 7000), { port: 9 }));
      world.advance(100);
      assert.deepEqual(caller.log, filtering === "endpoint-independent" ? ["open"] : []);
    }
  });
  test("forgets after two hours and four minutes of silence, and at a reboot; UDP's entries are apart", () => {
    const forgets = (forget: (lab: Lab) => void): boolean => {
      const one = lab(new InsideToOutside());
      const client = one.connect(80);
      forget(one);
      one.accepted[0]?.say("?");
      client.say("?");
      one.world.advance(500);
      return client.text === "" && one.accepted[0]?.text === "";
    };
    assert.ok(!forgets(({ world }) => world.advance(7_430_000)));
    assert.ok(forgets(({ world }) => world.advance(7_440_000)));
    assert.ok(forgets(({ gateway }) => gateway.reboot()));
    const { world, inside, server } = lab(new InsideToOutside());
    const socket = inside.socket({ port: 7000 });
    inside.connect(toAddress("192.0.2.2", 80), { port: 7000 });
    world.advance(100);
    const heard = listen(world, socket);
    server.socket({ port: 80 }).send(plain, socket.address);
    world.advance(100);
    assert.equal(heard.length, 0);
  });
});

suite("inspection of streams", () => {
  test("STUN, SIP and RTP each, both ways, and nothing else", () => {
    const kinds = { plain, stun, sip, rtp: framed(rtp) };
    for (const inspected of ["stun", "sip", "rtp"] as const) {
      for (const [kind, bytes] of Object.entries(kinds)) {
        const passes = kind !== inspected;
        assert.deepEqual(exchanges(lab(inspecting(inspected)), bytes), [passes, passes], `${inspected} in ${kind}`);
      }
    }
  });
  test("whatever frames them: two bytes of length (RFC 4571), or ChannelData; behind others; in pieces", () => {
    const cases: readonly (readonly ["stun" | "sip" | "rtp", readonly Uint8Array[]])[] = [
      ["stun", [framed(stun)]],
      ["stun", [channelData(stun)]],
      ["stun", [plain, stun]],
      ["stun", [stun.subarray(0, 3), stun.subarray(3, 6), stun.subarray(6, 7), stun.subarray(7)]],
      ["sip", [sip.subarray(0, 29), sip.subarray(29)]],
      ["rtp", [channelData(rtp)]],
      ["rtp", [concatBytes(framed(rtp), framed(rtp), framed(rtp).subarray(0, 7))]],
      ["rtp", [concatBytes(channelData(rtp), channelData(rtp))]],
    ];
    for (const [inspected, segments] of cases) {
      assert.deepEqual(exchanges(lab(inspecting(inspected)), ...segments), [false, false], inspected);
      const others = (["stun", "sip", "rtp"] as const).filter((one) => one !== inspected);
      assert.deepEqual(exchanges(lab(inspecting(...others)), ...segments), [true, true], `not ${inspected}`);
    }
  });
  test("a cookie by chance, where no header of STUN can be, is none", () => {
    const cookie = stun.subarray(4, 8);
    for (const before of [[0x80, 0, 0, 8], [0, 1, 0, 7], []]) {
      assert.deepEqual(exchanges(lab(inspecting("stun")), Uint8Array.of(...before, ...cookie, 1, 2)), [true, true]);
    }
  });
  test("segments that overtake each other, and repeat, are read in order", () => {
    const { world, internet, home, accepted, connect } = lab(inspecting("sip"));
    const client = connect(443);
    home.change({ delay: 10, reorder: 1, reorderBy: 50 });
    client.stream.write(sip.subarray(0, 29));
    home.change({ reorder: 0 });
    client.stream.write(sip.subarray(29));
    internet.change({ loss: 0 });
    world.advance(200_000);
    assert.equal(accepted[0]?.text, "");
    assert.equal(client.log.at(-1), "closed: timed-out", "in silence");
  });
  test("once found, the connection is dead; another lives, and so does the next between the same ports", () => {
    const { world, inside, accepted, connect } = lab(inspecting("stun"));
    const [bad, good] = [connect(443), connect(443)];
    bad.stream.write(stun);
    world.advance(100);
    bad.stream.write(plain);
    good.stream.write(plain);
    world.advance(10_000);
    assert.deepEqual([accepted[0]?.bytes.length, accepted[1]?.bytes.length], [0, plain.length]);
    const { port } = bad.stream.localAddress;
    bad.stream.reset();
    world.advance(100);
    const again = new Program(inside.connect(toAddress("192.0.2.2", 443), { port }));
    again.stream.write(plain);
    world.advance(2000);
    assert.deepEqual(again.log, ["open"]);
    assert.equal(accepted[2]?.bytes.length, plain.length);
  });
  test("UDP is inspected as ever", () => {
    const { world, inside, server } = lab(inspecting("stun"));
    const far = server.socket({ port: 9 });
    const heard = listen(world, far);
    for (const data of [stun, plain]) inside.socket().send(data, far.address);
    world.advance(100);
    assert.equal(heard.length, 1);
  });
});

suite("a box that resets", () => {
  for (const nat of [false, true]) {
    test(`ends the connection for both sides at once${nat ? ", through its NAT" : ""}`, () => {
      for (const speaker of ["client", "server"] as const) {
        const { world, accepted, connect } = lab(resetting(inspecting("stun")), { nat });
        const client = connect(443);
        const server = accepted[0] as Program;
        (speaker === "client" ? client : server).stream.write(stun);
        world.advance(100);
        assert.deepEqual([client.log, server.log], [["open", "closed: reset"], ["closed: reset"]], speaker);
        assert.deepEqual([client.bytes.length, server.bytes.length], [0, 0]);
      }
    });
  }
  test("refuses the SYN of a forbidden port, and drops UDP", () => {
    const { world, accepted, inside, server, connect } = lab(resetting(onlyPorts({ tcp: [443] })));
    assert.deepEqual([connect(80).log, accepted.length], [["closed: refused"], 0]);
    inside.socket().send(plain, server.socket({ port: 443 }).address);
    world.advance(100);
    assert.equal(world.counts.dropped.get("firewall"), 2);
  });
  test("answers no RST with a RST", () => {
    const { world, connect } = lab(resetting(inspecting("stun")));
    const client = connect(443);
    const lines = transcript(world);
    client.stream.write(stun);
    world.advance(100);
    client.stream.reset();
    world.advance(1000);
    assert.equal(lines.filter((line) => line.includes("RST")).length, 2, lines.join());
  });
});

suite("only TLS", () => {
  const hello = Uint8Array.of(0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0);
  test("passes what begins as TLS does, whole or byte by byte, and then anything", () => {
    assert.deepEqual(exchanges(lab(onlyTls()), hello, stun), [true, true]);
    const bytes = [...hello].map((byte) => Uint8Array.of(byte));
    assert.deepEqual(exchanges(lab(onlyTls()), ...bytes), [true, true]);
  });
  test("stops what does not, at the first byte that tells", () => {
    for (const bytes of [stun, plain, Uint8Array.of(0x16, 2), Uint8Array.of(0x16, 3, 9), Uint8Array.of(0x17, 3, 3)]) {
      assert.deepEqual(exchanges(lab(onlyTls()), bytes), [false, false]);
    }
    assert.deepEqual(exchanges(lab(onlyTls()), Uint8Array.of(0x16), Uint8Array.of(4)), [false, false]);
  });
  test("with only TCP 443, nothing else gets out", () => {
    const firewall = allOf(onlyPorts({ tcp: [443] }), resetting(onlyTls()));
    const one = lab(firewall);
    assert.deepEqual(exchanges(one, hello, plain), [true, true]);
    assert.deepEqual(one.connect(80).log, []);
    const client = one.connect(443);
    client.say("GET / HTTP/1.1");
    one.world.advance(100);
    assert.equal(client.log.at(-1), "closed: reset");
    one.gateway.reboot();
    assert.deepEqual(exchanges(one, hello), [true, true]);
  });
});
