import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import { allOf, resetting } from "../../../src/natlab/firewall/firewall.ts";
import { inspecting, onlyTls } from "../../../src/natlab/firewall/inspection.ts";
import { withoutServerNames } from "../../../src/natlab/firewall/server-names.ts";
import type { LinkConditions } from "../../../src/natlab/link.ts";
import { indexOfBytes } from "../../../src/natlab/payload.ts";
import { toAddress } from "../../../src/natlab/surroundings.ts";
import { decodeHello, encodeClientHello } from "../../../src/natlab/tls/hello.ts";
import { RecordReader } from "../../../src/natlab/tls/records.ts";
import { type TlsStream, tlsClient, tlsServer } from "../../../src/natlab/tls/tls-stream.ts";
import { World } from "../../../src/natlab/world.ts";
import { Program, pair } from "../tcp/pair.ts";

function tlsPair(conditions: Partial<LinkConditions> = {}, serverName?: string) {
  const lab = pair(conditions);
  const far: Program[] = [];
  lab.listener.onConnection = (connection) => far.push(new Program(tlsServer(connection)));
  const wire = { up: [] as Uint8Array[], down: [] as Uint8Array[] };
  lab.world.watch(({ kind, packet }) => {
    if (kind === "carried") wire[packet.destination.port === 80 ? "up" : "down"].push(packet.payload);
  });
  const connection = lab.left.connect(lab.server);
  const client = new Program(tlsClient(connection, serverName === undefined ? {} : { serverName }));
  return { ...lab, client, far, wire, connection };
}

/** The record headers in what a direction carried. */
function records(packets: readonly Uint8Array[]): string[] {
  const reader = new RecordReader();
  reader.push(Buffer.concat(packets));
  const seen: string[] = [];
  for (let one = reader.next(); one !== undefined; one = reader.next()) seen.push(`${one.type} ${one.body.length}`);
  assert.ok(!reader.hasFailed);
  return seen;
}

test("RFC 8446 §2: it is open after TCP's round trip and one of its own; both sides hear, and it ends", () => {
  const { world, client, far, wire } = tlsPair({ delay: 10 });
  world.advance(39);
  assert.deepEqual(client.log, []);
  world.advance(1);
  assert.deepEqual([client.log, far[0]?.log], [["open"], []]);
  world.advance(10);
  assert.deepEqual(far[0]?.log, ["open"]);
  client.say("hello");
  far[0]?.say("hello, you");
  world.advance(20);
  assert.deepEqual([client.text, far[0]?.text], ["hello, you", "hello"]);
  wire.up.length = 0;
  client.stream.end();
  assert.throws(() => client.say("more"), { code: "NATLAB_ENDED" });
  world.advance(20);
  assert.deepEqual(records(wire.up), ["23 19"], "RFC 8446 §6.1: close_notify, two bytes and their type");
  assert.deepEqual(far[0]?.log, ["open", "end"]);
  far[0]?.say("half-closed");
  far[0]?.stream.end();
  world.settle();
  assert.equal(client.text, "hello, youhalf-closed");
  assert.deepEqual([client.log.slice(1), far[0]?.log.slice(2)], [["end", "closed: finished"], ["closed: finished"]]);
});

test("RFC 8446 §5.1: on the wire there are records, and nothing of what was said; long writes are cut", () => {
  const { world, client, far, wire } = tlsPair({}, "turn.example.org");
  const text = "SIP/2.0 in the clear would be seen";
  client.say(text);
  client.stream.write(new Uint8Array(40_000));
  world.settle();
  assert.equal(far[0]?.bytes.length, text.length + 40_000);
  assert.equal(far[0]?.text.slice(0, text.length), text);
  assert.deepEqual(records(wire.up), [
    "22 111",
    "23 53",
    "23 16401",
    "23 16401",
    `23 ${40_000 + text.length - 32_768 + 17}`,
  ]);
  assert.deepEqual(records(wire.down), ["22 82", "20 1", "23 2017"]);
  const up = Buffer.concat(wire.up);
  assert.equal(indexOfBytes(up, encodeUtf8("SIP/2.0"), 0), -1);
  assert.ok(indexOfBytes(up, encodeUtf8("turn.example.org"), 0) > 0, "RFC 6066 §3: but for the server's name");
  assert.equal((far[0] as Program & { stream: TlsStream }).stream.serverName, "turn.example.org");
});

test("what is written, ended or reset before it is open", () => {
  const { world, client, far } = tlsPair({ delay: 10 });
  client.say("early");
  client.stream.end();
  world.settle();
  assert.deepEqual([far[0]?.text, far[0]?.log], ["early", ["open", "end"]]);
  const other = tlsPair({ delay: 10 });
  other.world.advance(30);
  other.client.stream.reset();
  other.world.settle();
  assert.deepEqual([other.client.log, other.far[0]?.log], [["closed: aborted"], ["closed: reset"]]);
});

test("what is no TLS resets: no hello, a hello of the wrong side, and bytes that somebody has changed", () => {
  const plain = pair();
  const heard: Program[] = [];
  plain.listener.onConnection = (connection) => heard.push(new Program(tlsServer(connection)));
  const client = new Program(plain.left.connect(plain.server));
  client.say("GET / HTTP/1.1\r\n");
  plain.world.settle();
  assert.deepEqual([heard[0]?.log, client.log], [["closed: not-tls"], ["open", "closed: reset"]]);

  const both = pair();
  both.listener.onConnection = (connection) => heard.push(new Program(tlsClient(connection)));
  const mirrored = new Program(tlsClient(both.left.connect(both.server)));
  both.world.settle();
  assert.match(mirrored.log.join(), /^closed: (not-tls|reset)$/);

  const { world, connection, far, client: liar } = tlsPair();
  world.settle();
  assert.deepEqual(liar.log, ["open"]);
  connection.write(Uint8Array.of(23, 3, 3, 0, 20, ...new Uint8Array(20)));
  world.settle();
  assert.equal(far[0]?.log.at(-1), "closed: not-tls");
});

test("it pauses between records, and resumes", () => {
  const { world, client, far } = tlsPair();
  world.settle();
  const server = far[0] as Program;
  server.stream.onData = (data) => {
    server.chunks.push(data);
    server.stream.pause();
  };
  for (const word of ["one ", "two ", "three "]) client.say(word);
  world.settle();
  assert.equal(server.text, "one ");
  server.stream.resume();
  server.stream.resume();
  world.settle();
  assert.match(server.text, /^one two (three )?$/);
  for (let n = 0; n < 3; n++) server.stream.resume();
  world.settle();
  assert.equal(server.text, "one two three ");
});

test("it opens while it is paused, and hands out nothing before it resumes", () => {
  const { world, client, far } = tlsPair({ delay: 10 });
  client.stream.pause();
  far[0]?.stream.pause();
  world.settle();
  assert.deepEqual([client.log, far[0]?.log], [["open"], ["open"]]);
  far[0]?.say("hello");
  far[0]?.stream.end();
  world.settle();
  assert.deepEqual([client.text, client.log], ["", ["open"]]);
  client.stream.resume();
  world.settle();
  assert.deepEqual([client.text, client.log], ["hello", ["open", "end"]]);
});

test("it does not hand out a second record of one segment while it is paused", () => {
  const { world, client, far } = tlsPair({ delay: 10 });
  world.settle();
  const server = far[0] as Program;
  let isPaused = false;
  server.stream.onData = (data) => {
    assert.ok(!isPaused);
    server.chunks.push(data);
    isPaused = true;
    server.stream.pause();
  };
  client.stream.write(new Uint8Array(50_000));
  for (let n = 0; n < 100; n++) client.say("word");
  for (let n = 0; n < 200; n++) {
    world.advance(1000);
    isPaused = false;
    server.stream.resume();
  }
  assert.deepEqual([server.bytes.length, server.chunks.length], [50_400, 104]);
});

test("RFC 8446 §5.1, §5.2: records of other types, versions or lengths are none", () => {
  for (const [head, isRecord] of [
    [[22, 3, 1, 0, 0], true],
    [[20, 3, 3, 0x41, 0x00], true],
    [[20, 3, 3, 0x41, 0x01], false],
    [[22, 2, 0, 0, 0], false],
    [[22, 3, 5, 0, 0], false],
    [[19, 3, 3, 0, 0], false],
    [[24, 3, 3, 0, 0], false],
    [[22, 2], false],
  ] as const) {
    const reader = new RecordReader();
    reader.push(Uint8Array.from(head));
    reader.next();
    assert.equal(!reader.hasFailed, isRecord, head.join());
  }
});

test("a hello is read only when it is whole", () => {
  const random = new Uint8Array(32).fill(7);
  const hello = encodeClientHello(random, new Uint8Array(32), "a.example");
  assert.equal(decodeHello(hello)?.serverName, "a.example");
  assert.deepEqual(decodeHello(hello)?.random, random);
  assert.equal(decodeHello(encodeClientHello(random, new Uint8Array(0), undefined))?.serverName, undefined);
  for (let length = 0; length < hello.length; length++) assert.equal(decodeHello(hello.subarray(0, length)), undefined);
  assert.equal(decodeHello(Uint8Array.of(9, ...hello.subarray(1))), undefined);
});

suite("middleboxes", () => {
  function through(firewall: ReturnType<typeof onlyTls>, serverName: string, mtu = 1500) {
    const world = new World();
    const [internet, home] = [world.link("internet", { delay: 5, mtu }), world.link("home", { mtu })];
    world.gateway("firewall", { firewall }).outside(internet, "192.0.2.1").inside(home, "10.0.0.1/24");
    const far: Program[] = [];
    const { address } = world
      .host("server")
      .attach(internet, "192.0.2.2")
      .listen({ port: 443 }, (connection) => far.push(new Program(tlsServer(connection))));
    const client = new Program(
      tlsClient(world.host("client").attach(home, "10.0.0.2").connect(toAddress("192.0.2.2", address.port)), {
        serverName,
      }),
    );
    client.say("SIP/2.0");
    world.advance(5000);
    return { client, server: far[0] };
  }
  test("one that passes only TLS, and inspects the rest, sees nothing to stop", () => {
    const firewall = allOf(onlyTls(), resetting(inspecting("stun", "sip", "rtp")));
    assert.equal(through(firewall, "turn.example.org").server?.text, "SIP/2.0");
  });
  test("RFC 6066 §3: one that blocks by name reads it, also from small segments", () => {
    const firewall = () => resetting(withoutServerNames("Turn.example.org", "b.example"));
    for (const mtu of [1500, 60]) {
      assert.deepEqual(through(firewall(), "turn.example.ORG", mtu).client.log, ["closed: reset"]);
      assert.equal(through(firewall(), "www.example.org", mtu).server?.text, "SIP/2.0");
    }
  });
});
