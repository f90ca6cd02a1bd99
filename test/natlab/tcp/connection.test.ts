import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { PosternError } from "../../../src/core/base/failure.ts";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import type { TcpPacket } from "../../../src/natlab/packet.ts";
import { toAddress } from "../../../src/natlab/surroundings.ts";
import type { TcpConnection } from "../../../src/natlab/tcp/connection.ts";
import { Flag } from "../../../src/natlab/tcp/segment.ts";
import { connected, forge, lastFrom, Program, pair, transcript } from "./pair.ts";

function refusesWith(code: string, act: () => void): void {
  assert.throws(act, (error) => error instanceof PosternError && error.code === code);
}

suite("opening", () => {
  test("RFC 9293 §3.5: three segments, then both sides are told, with each other's address", () => {
    const { world, left, server, accepted } = pair({ delay: 10 });
    const lines = transcript(world);
    const client = new Program(left.connect(server));
    world.advance(20);
    assert.deepEqual([client.log, accepted.length], [["open"], 0]);
    world.advance(10);
    assert.deepEqual(lines, ["> SYN", "< SYN ACK", "> ACK"]);
    const stream = accepted[0]?.stream;
    assert.ok(stream);
    assert.equal(formatAddress(stream.remoteAddress), formatAddress(client.stream.localAddress));
    assert.deepEqual([stream.localAddress, client.stream.remoteAddress].map(formatAddress), [
      "10.0.0.2:80",
      "10.0.0.2:80",
    ]);
  });

  test("what is written before it is open arrives after; an answer takes the acknowledgment along", () => {
    const { world, left, server, accepted, listener } = pair();
    listener.onConnection = (connection) => {
      const program = new Program(connection);
      accepted.push(program);
      connection.onData = (data) => connection.write(data);
    };
    const lines = transcript(world);
    const client = new Program(left.connect(server));
    const bytes = encodeUtf8("early");
    client.stream.write(bytes);
    bytes.fill(0);
    world.settle();
    assert.equal(client.text, "early", "as it was then");
    assert.deepEqual(lines, ["> SYN", "< SYN ACK", "> ACK 5", "< ACK 5", "> ACK"]);
  });

  test("RFC 9293 §3.5.2: a port on which nobody listens refuses", () => {
    const { world, left } = pair({ delay: 10 });
    const client = new Program(left.connect(toAddress("10.0.0.2", 81)));
    world.settle();
    assert.deepEqual([client.log, world.now], [["closed: refused"], 20]);
    assert.equal(world.counts.dropped.get("no-socket"), 1);
    assert.equal(client.stream.write(new Uint8Array(1)), false);
  });

  test("RFC 6298 §5: a SYN is repeated after 1, 2, 4 … seconds", () => {
    const { world, link, left, server, accepted } = pair({ loss: 1 });
    const times: number[] = [];
    world.watch(({ kind, at }) => kind === "carried" && times.push(at));
    const client = new Program(left.connect(server));
    world.advance(20_000);
    assert.deepEqual(times, [0, 1000, 3000, 7000, 15_000]);
    link.change({ loss: 0 });
    world.settle();
    assert.deepEqual([client.log, accepted.length], [["open"], 1]);
  });

  test("RFC 9293 §3.8.3: nobody answers: it times out, after three minutes or as asked", () => {
    for (const [timeout, expected] of [
      [undefined, 180_000],
      [2500, 2500],
    ] as const) {
      const { world, left } = pair();
      let at = 0;
      const connection = left.connect(toAddress("10.0.0.9", 80), timeout === undefined ? {} : { timeout });
      const client = new Program(connection);
      connection.onClose = (reason) => {
        client.log.push(reason);
        at = world.now;
      };
      world.settle(400_000);
      assert.deepEqual([client.log, at], [["timed-out"], expected]);
    }
  });

  test("a listener with its backlog full drops, and the SYN is repeated", () => {
    const { world, link, left, right, accepted } = pair();
    const { address } = right.listen({ port: 90, backlog: 2 }, (one) => accepted.push(new Program(one)));
    for (const port of [1, 2]) forge({ world, link }, ["10.0.0.77", port], ["10.0.0.2", 90], { flags: Flag.Syn });
    world.advance(0);
    const client = new Program(left.connect(address, { timeout: 300_000 }));
    world.advance(500);
    assert.equal(world.counts.dropped.get("backlog"), 1);
    assert.deepEqual(client.log, []);
    world.advance(190_000);
    assert.deepEqual(client.log, ["open"], "half-open connections time out and make room");
  });

  test("RFC 9293 §3.5, figure 7: both open at the same time, and are one connection", () => {
    const { world, left, right } = pair({ delay: 10 });
    const [one, other] = [
      new Program(left.connect(toAddress("10.0.0.2", 7000), { port: 6000 })),
      new Program(right.connect(toAddress("10.0.0.1", 6000), { port: 7000 })),
    ];
    const lines = transcript(world);
    world.advance(30);
    one.say("to the right");
    other.say("to the left");
    world.settle();
    assert.deepEqual([one.text, other.text], ["to the left", "to the right"]);
    assert.deepEqual([one.log, other.log], [["open"], ["open"]]);
    assert.deepEqual(lines.slice(0, 4), ["> SYN ACK", "> SYN ACK", "> ACK 12", "> ACK 11"]);
  });

  test("a SYN that comes twice is answered twice; a RST while both open is a refusal", () => {
    const { world, link, left, right } = pair({ delay: 10, duplicate: 1 });
    const one = left.connect(toAddress("10.0.0.2", 7000), { port: 6000 });
    const other = new Program(right.connect(toAddress("10.0.0.1", 6000), { port: 7000 }));
    const lines = transcript(world);
    link.change({ loss: 1 });
    world.advance(10);
    assert.equal(one.state, "syn-received");
    assert.deepEqual(lines, new Array(4).fill("> SYN ACK"));
    link.change({ loss: 0 });
    one.reset();
    world.advance(10);
    assert.deepEqual(other.log, ["closed: refused"]);
  });

  test("IPv6, and a host that connects to itself", () => {
    const { world, link, left } = pair();
    left.attach(link, "2001:db8::1");
    const heard: Program[] = [];
    const { address } = left.listen({ address: "2001:db8::1", port: 443 }, (one) => heard.push(new Program(one)));
    const client = new Program(left.connect(address));
    client.say("me");
    world.settle();
    assert.equal(heard[0]?.text, "me");
    assert.match(formatAddress(client.stream.localAddress), /^\[2001:db8::1\]/);
  });
});

suite("misuse throws", () => {
  test("addresses and ports that are not free, or not the host's", () => {
    const { left, right, server } = pair();
    refusesWith("NATLAB_PORT", () => right.listen({ port: 80 }, () => {}));
    refusesWith("NATLAB_ADDRESS", () => right.listen({ address: "10.9.9.9", port: 1 }, () => {}));
    refusesWith("NATLAB_ADDRESS", () => left.connect(toAddress("2001:db8::1", 1)));
    left.connect(server, { port: 5000 });
    refusesWith("NATLAB_PORT", () => left.connect(server, { port: 5000 }));
    left.connect(toAddress("10.0.0.2", 81), { port: 5000 });
    left.listen({ port: 5000 }, () => {});
  });
  test("a host whose ports are all taken says so; RFC 9293 §3.4.2: four minutes after they ended, connections' are free", () => {
    const { world, left, server, accepted } = pair();
    const ports = 16_384;
    for (let n = 0; n < ports; n++) left.socket();
    refusesWith("NATLAB_PORT", () => left.socket());
    for (let n = 0; n < ports; n += 64) {
      const some = Array.from({ length: 64 }, () => left.connect(server));
      for (const one of some) one.onOpen = () => one.end();
      world.settle();
      for (const { stream } of accepted.splice(0)) stream.end();
      world.settle();
    }
    refusesWith("NATLAB_PORT", () => left.connect(server));
    world.advance(240_000);
    left.connect(server);
  });
  test("writing after end", () => {
    const { client } = connected();
    client.stream.end();
    refusesWith("NATLAB_ENDED", () => client.say("too late"));
  });
  test("UDP and TCP ports are apart", () => {
    const { right } = pair();
    assert.equal(right.socket({ port: 80 }).address.port, 80);
  });
});

suite("ending", () => {
  test("RFC 9293 §3.6, figure 12: each side ends by itself, and half-closed means one way only", () => {
    const { world, client, far } = connected({ delay: 10 });
    const lines = transcript(world);
    client.say("that is all");
    client.stream.end();
    world.settle();
    assert.deepEqual([client.log, far.log], [["open"], ["end"]]);
    far.say("an answer after the end");
    far.stream.end();
    world.settle();
    assert.equal(client.text, "an answer after the end");
    assert.deepEqual(
      [client.log, far.log],
      [
        ["open", "end", "closed: finished"],
        ["end", "closed: finished"],
      ],
    );
    assert.deepEqual(lines, ["> ACK 11", "> FIN ACK", "< ACK", "< ACK", "< ACK 23", "< FIN ACK", "> ACK", "> ACK"]);
  });

  test("RFC 9293 §3.6, figure 13: both end at the same time", () => {
    const { world, client, far } = connected({ delay: 10 });
    client.stream.end();
    far.stream.end();
    world.settle();
    assert.deepEqual(
      [client.log, far.log],
      [
        ["open", "end", "closed: finished"],
        ["end", "closed: finished"],
      ],
    );
  });

  test("a FIN that is lost is sent again; its last acknowledgment is repeated in TIME-WAIT", () => {
    const { world, link, client, far } = connected({ delay: 10 });
    link.change({ loss: 1 });
    client.stream.end();
    world.advance(500);
    link.change({ loss: 0 });
    world.advance(1000);
    assert.deepEqual(far.log, ["end"]);
    far.stream.end();
    world.advance(5);
    link.change({ loss: 1 });
    world.advance(15);
    link.change({ loss: 0 });
    assert.deepEqual(far.log, ["end"], "the last acknowledgment is lost");
    world.settle();
    assert.deepEqual(far.log, ["end", "closed: finished"]);
  });

  test("RFC 9293 §3.4.2: addresses are taken for four minutes; a SYN beyond what was received may have them sooner", () => {
    const { world, left, client, far, server, accepted } = connected();
    client.stream.end();
    far.stream.end();
    world.advance(1000);
    refusesWith("NATLAB_PORT", () => left.connect(server, { port: 5000 }));
    world.advance(240_000);
    const again = new Program(left.connect(server, { port: 5000 }));
    world.advance(1000);
    again.stream.onEnd = () => again.stream.end();
    accepted[1]?.stream.end();
    world.advance(1000);
    const third = new Program(left.connect(server, { port: 5000 }));
    world.advance(10);
    assert.deepEqual([third.log, accepted.length], [["open"], 3], "the server's TIME-WAIT gives way");
  });

  test("a reset ends both at once, with what is on its way", () => {
    const { world, client, far } = connected({ delay: 10 });
    client.say("lost?");
    client.stream.reset();
    far.say("never read");
    world.settle();
    assert.deepEqual([client.log, far.log], [["open", "closed: aborted"], ["closed: reset"]]);
    assert.deepEqual([client.text, far.text], ["", "lost?"]);
    client.stream.reset();
    client.stream.end();
    assert.equal(client.log.length, 2);
  });

  test("a reset before it is open is silent on the wire; a listener that is closed refuses, and keeps what it has", () => {
    const { world, left, listener, server, client, far } = connected();
    const lines = transcript(world);
    left.connect(server).reset();
    assert.deepEqual(lines, ["> SYN"]);
    listener.close();
    const late = new Program(left.connect(server));
    world.settle();
    assert.deepEqual(late.log, ["closed: refused"]);
    client.say("still here");
    world.settle();
    assert.equal(far.text, "still here");
  });

  test("nothing that was called back ends it twice, or hears after it", () => {
    const { world, client, far } = connected();
    far.stream.pause();
    far.stream.onData = () => far.stream.reset();
    client.stream.write(new Uint8Array(10_000));
    client.stream.end();
    world.settle();
    far.stream.resume();
    world.settle();
    assert.deepEqual(far.log, ["closed: aborted"], "and no end");
    assert.deepEqual(client.log, ["open", "closed: reset"]);
  });

  test("a program that acts while it is called is not called again before it returns", () => {
    const { world, client, far } = connected();
    const log: string[] = [];
    far.stream.pause();
    for (const word of ["one", "two"]) client.say(word);
    client.stream.end();
    world.settle();
    far.stream.onData = (data) => {
      log.push(`begin ${Buffer.from(data)}`);
      far.say("heard");
      log.push("return");
    };
    far.stream.onEnd = () => log.push("end");
    far.stream.resume();
    assert.deepEqual(log, ["begin one", "return", "begin two", "return", "end"]);
    world.settle();
    assert.equal(client.text, "heardheard");
  });

  test("RFC 9293 §3.8.3: nothing comes through any more: it times out, and says so to whoever hears it", () => {
    const { world, link, client, far } = connected();
    link.change({ loss: 1 });
    client.say("anyone?");
    world.advance(100_000);
    assert.deepEqual(client.log, ["open"]);
    link.change({ loss: 0 });
    world.advance(2000);
    assert.deepEqual([client.log.at(-1), far.log], ["closed: timed-out", ["closed: reset"]]);
  });
});

suite("what does not belong", () => {
  /** An open connection, and the last segment that the server was sent. */
  function watched() {
    const lab = connected();
    const last = lastFrom(lab.world, 5000);
    lab.client.say("x");
    lab.world.settle();
    const next = ((last.packet as TcpPacket).segment.sequence + 1) >>> 0;
    const acknowledgment = (last.packet as TcpPacket).segment.acknowledgment;
    return { ...lab, next, acknowledgment };
  }
  const [from, to] = [
    ["10.0.0.1", 5000],
    ["10.0.0.2", 80],
  ] as const;

  test("RFC 5961 §3.2: only a RST at exactly the next sequence number resets; another in the window is challenged", () => {
    const lab = watched();
    const lines = transcript(lab.world);
    for (const off of [-1, 1, 1000, 70_000]) {
      forge(lab, from, to, { sequence: (lab.next + off) >>> 0, flags: Flag.Rst });
      lab.world.settle();
      assert.deepEqual(lab.far.log, [], String(off));
    }
    assert.equal(lines.filter((line) => line === "< ACK").length, 2, lines.join());
    forge(lab, from, to, { sequence: lab.next, flags: Flag.Rst });
    lab.world.settle();
    assert.deepEqual(lab.far.log, ["closed: reset"]);
  });

  test("RFC 5961 §4: a SYN in the middle is challenged, ten times in five seconds", () => {
    const lab = watched();
    const lines = transcript(lab.world);
    for (let n = 0; n < 30; n++) forge(lab, from, to, { sequence: lab.next, flags: Flag.Syn });
    lab.world.advance(100);
    assert.equal(lines.filter((line) => line === "< ACK").length, 10);
    assert.deepEqual(lab.far.log, []);
  });

  test("RFC 9293 §3.10.7.4: data outside of the window, and acknowledgments of what was never sent, change nothing", () => {
    const lab = watched();
    const flags = Flag.Ack;
    const { next, acknowledgment } = lab;
    forge(lab, from, to, { sequence: (next + 70_000) >>> 0, acknowledgment, flags }, new Uint8Array(5));
    forge(lab, from, to, { sequence: next, acknowledgment: (acknowledgment + 999) >>> 0, flags }, new Uint8Array(5));
    forge(lab, from, to, { sequence: next, acknowledgment, flags: 0 }, new Uint8Array(5));
    lab.world.settle();
    lab.client.say("y");
    lab.world.settle();
    assert.equal(lab.far.text, "xy");
  });

  test("RFC 9293 §3.10.7.4: an old segment that comes late does not close the window", () => {
    const lab = watched();
    lab.client.say("y");
    lab.world.settle();
    const old = { sequence: lab.acknowledgment, acknowledgment: lab.next, flags: Flag.Ack, window: 0 };
    forge(lab, to, from, old);
    lab.world.settle();
    lab.client.say("z");
    lab.world.advance(10);
    assert.equal(lab.far.text, "xyz");
  });

  test("RFC 9293 §3.9.2.3: a SYN to a group is not answered, and nobody connects to one", () => {
    const { world, link, left, right } = pair();
    right.socket({ port: 80 }).join("239.1.2.3");
    const lines = transcript(world);
    forge({ world, link }, from, ["239.1.2.3", 80], { flags: Flag.Syn });
    world.settle();
    assert.deepEqual([lines, world.counts.dropped.get("no-socket")], [["> SYN"], 1]);
    refusesWith("NATLAB_ADDRESS", () => left.connect(toAddress("239.1.2.3", 80)));
  });

  test("RFC 9293 §3.10.7.3: a SYN of ours is not answered by what acknowledges another", () => {
    const { world, link, left } = pair();
    const client = new Program(left.connect(toAddress("10.0.0.9", 80), { port: 5000 }));
    const source = ["10.0.0.9", 80] as const;
    const lines = transcript(world);
    for (const flags of [Flag.Syn | Flag.Ack, Flag.Rst | Flag.Ack, Flag.Rst, Flag.Ack]) {
      forge({ world, link }, source, from, { acknowledgment: 12345, flags });
    }
    world.advance(100);
    assert.deepEqual(client.log, []);
    assert.ok(lines.length >= 4);
    const connection = client.stream as TcpConnection;
    assert.equal(connection.state, "syn-sent");
  });
});
