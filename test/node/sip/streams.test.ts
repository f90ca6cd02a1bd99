import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { until } from "../../support/until.ts";
import { makeIdentity } from "../certificate.ts";
import { at } from "../host-under-test.ts";
import { options, received, SocketsUnderTest } from "./sockets-under-test.ts";

const identity = await makeIdentity("streams.example");

for (const transport of ["tcp", "tls"] as const) {
  const connect = (t: SocketsUnderTest, local: Parameters<SocketsUnderTest["connect"]>[0]) =>
    transport === "tcp" ? t.connect(local) : t.connectTls(local);

  for (const ip of ["127.0.0.1", "::1"]) {
    test(`${transport} on ${ip}: a message comes up with its flow, is answered on it, and the end is told once`, async () => {
      await using t = new SocketsUnderTest();
      const local = await t.listen(transport, ip, identity);
      const phone = connect(t, local);
      const answer = received(phone);
      const every = Array.from({ length: 256 }, (_, c) => String.fromCharCode(c)).join("");
      phone.write(options("1", every), "latin1");
      const { text, flow } = await t.message();
      assert.equal(text, options("1", every));
      assert.equal(flow.transport, transport);
      assert.ok(flow.connection > 0);
      assert.equal(formatAddress(flow.local), formatAddress(local));
      assert.equal(formatAddress(flow.remote), formatAddress(at(ip, phone.localPort)));
      t.sockets.send(flow, `SIP/2.0 200 OK\r\n${every}`);
      await until("the answer", () => answer.text === `SIP/2.0 200 OK\r\n${every}`);
      phone.write(options("2"));
      assert.equal((await t.message(2)).flow, flow);
      const { messagesIn, messagesOut } = t.stats.messages[transport];
      assert.deepEqual([messagesIn, messagesOut], [2, 1]);
      assert.deepEqual(t.closed, []);
      phone.end();
      await t.ended("client");
      assert.deepEqual(t.closedInOrder, [1]);
    });
  }
}

describe("messages on streams", () => {
  test("come whole, wherever they are cut", async () => {
    await using t = new SocketsUnderTest();
    const phone = t.connect(await t.listen("tcp"));
    const text = options("1", "v=0\r\n");
    for (const byte of text) {
      phone.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    phone.write(text + text.slice(0, 40));
    phone.write(text.slice(40) + text);
    await t.message(4);
    assert.deepEqual(t.texts, [text, text, text, text]);
    assert.equal(t.stats.messages.tcp.bytesIn, 4 * text.length);
  });

  test("of the greatest size pass both ways, and one byte more ends the connection", async () => {
    await using t = new SocketsUnderTest();
    const phone = t.connect(await t.listen("tcp"));
    const answer = received(phone);
    const greatest = options("1", "x".repeat(65_535 - options("1").length - 4));
    assert.equal(greatest.length, 65_535);
    phone.write(greatest + greatest);
    const { flow } = await t.message(2);
    t.sockets.send(flow, greatest);
    t.sockets.send(flow, greatest);
    await until("both", () => answer.text === greatest + greatest);
    phone.write(options("2", "x".repeat(65_536 - options("1").length - 4)));
    await t.ended("message-too-long");
    assert.deepEqual([t.arrived.length, t.closedInOrder], [2, [1]]);
  });

  for (const [end, text] of [
    ["not-sip", " OPTIONS sip:a SIP/2.0\r\n\r\n"],
    ["no-content-length", "OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\n\r\n"],
    ["bad-content-length", "OPTIONS sip:a SIP/2.0\r\nContent-Length: one\r\n\r\n"],
  ] as const) {
    test(`that cannot be followed end the connection: ${end}; what came before them is heard`, async () => {
      await using t = new SocketsUnderTest();
      const phone = t.connect(await t.listen("tcp"));
      phone.write(options("1") + text + options("2"));
      await once(phone, "close");
      await t.ended(end);
      assert.deepEqual(t.texts, [options("1")]);
      assert.deepEqual(t.closedInOrder, [1]);
    });
  }

  test("RFC 5626 §4.4.1: a ping is answered, also between messages; its answer is not", async () => {
    await using t = new SocketsUnderTest();
    const phone = t.connect(await t.listen("tcp"));
    const answers = received(phone);
    phone.write(`\r\n\r\n${options("1")}\r\n\r\n`);
    await until("two answers", () => answers.text === "\r\n\r\n");
    phone.write(`${options("2")}\r\n${options("3")}`);
    const { flow } = await t.message(3);
    t.sockets.send(flow, "SIP/2.0 200 OK\r\n");
    await until("the message", () => answers.text === "\r\n\r\nSIP/2.0 200 OK\r\n");
    assert.deepEqual(
      t.texts,
      ["1", "2", "3"].map((id) => options(id)),
    );
    assert.equal(t.stats.keepAlives, 3);
    assert.equal(t.stats.messages.tcp.messagesOut, 1);
  });
});

test("thousands of pings at once are answered, and cost no more than their bytes", async () => {
  await using t = new SocketsUnderTest();
  const phone = t.connect(await t.listen("tcp"));
  const answers = received(phone);
  phone.write("\r\n\r\n".repeat(20_000));
  await until("every answer", () => answers.text === "\r\n".repeat(20_000));
  assert.equal(t.stats.connections.open, 1);
});

describe("time limits of streams", () => {
  test("keep-alives are no first message", async () => {
    await using t = new SocketsUnderTest({ limits: { firstFrameMs: 120 } });
    const phone = t.connect(await t.listen("tcp"));
    const pings = setInterval(() => phone.write("\r\n\r\n"), 20);
    try {
      await t.ended("no-frame");
    } finally {
      clearInterval(pings);
    }
    assert.ok(t.stats.keepAlives > 0);
  });

  test("the first message is all that is waited for: a silent one ends, and one that has spoken stays", async () => {
    await using t = new SocketsUnderTest({ limits: { firstFrameMs: 150 } });
    const local = await t.listen("tcp");
    const phone = t.connect(local);
    phone.write(options("1"));
    await t.message();
    t.connect(local);
    await t.ended("no-frame");
    assert.deepEqual([phone.closed, t.stats.connections.open], [false, 1]);
  });

  test("a message that drips is ended, however often a byte comes", async () => {
    await using t = new SocketsUnderTest({ limits: { frameMs: 120 } });
    const phone = t.connect(await t.listen("tcp"));
    phone.write(`${options("1")}OPTIONS sip:`);
    const drip = setInterval(() => phone.write("a"), 15);
    try {
      await t.ended("slow-frame");
    } finally {
      clearInterval(drip);
    }
    assert.deepEqual(t.texts, [options("1")]);
  });

  test("who is not settled is ended, however often it speaks; who is settled stays until it is not", async () => {
    await using t = new SocketsUnderTest({ limits: { unsettledMs: 200 } });
    const local = await t.listen("tcp");
    const phone = t.connect(local);
    phone.write(options("phone"));
    const { flow } = await t.message();
    t.sockets.settle(flow.connection);
    assert.equal(t.stats.connections.halfOpen, 0);
    const stranger = t.connect(local);
    const words = setInterval(() => stranger.write(options("stranger")), 20);
    try {
      await t.ended("unsettled");
    } finally {
      clearInterval(words);
    }
    assert.equal(phone.closed, false);
    t.sockets.settle(flow.connection, false);
    await t.ended("unsettled", 2);
    assert.deepEqual(t.closedInOrder, [2, 1]);
    t.sockets.settle(flow.connection);
  });

  test("one that reads nothing is ended when it stalls for long; who waits for what it was sent hears of it", async () => {
    await using t = new SocketsUnderTest({ limits: { stalledMs: 150, backlog: 64 << 20 } });
    const phone = t.connect(await t.listen("tcp"));
    phone.write(options("1"));
    const { flow } = await t.message();
    phone.pause();
    let failed = 0;
    const big = options("2", "x".repeat(60_000));
    for (let i = 0; i < 400; i++) t.sockets.send(flow, big, () => failed++);
    await t.ended("stalled");
    await until("word of the lost ones", () => failed > 0);
    assert.ok(failed < 400, "what the kernel took had left");
  });
});

describe("limits on connections", () => {
  const refused = (socket: Socket) => new Promise((resolve) => socket.once("close", resolve));

  test("in total, per source, and of strangers", async () => {
    for (const [limit, limits, from] of [
      ["connections", { connections: 1 }, "127.0.0.3"],
      ["connections-per-source", { connectionsPerSource: 1 }, "127.0.0.2"],
      ["half-open", { halfOpen: 1 }, "127.0.0.3"],
      ["half-open-per-source", { halfOpenPerSource: 1 }, "127.0.0.2"],
    ] as const) {
      await using t = new SocketsUnderTest({ limits });
      const local = await t.listen("tcp");
      t.connect(local, "127.0.0.2").write(options("1"));
      const { flow } = await t.message();
      await refused(t.connect(local, from));
      assert.equal(t.stats.connections.refused[limit], 1);
      t.sockets.settle(flow.connection);
      const next = t.connect(local, from);
      next.write(options("2"));
      if (limit.startsWith("half-open")) await t.message(2);
      else await refused(next);
    }
  });

  test("TLS counts from the moment a client is accepted, and its handshake has the first message's time", async () => {
    await using t = new SocketsUnderTest({ limits: { halfOpenPerSource: 1, firstFrameMs: 150 } });
    const local = await t.listen("tls", "127.0.0.1", identity);
    t.connect(local);
    await until("one", () => t.stats.connections.halfOpen === 1);
    await refused(t.connect(local));
    await t.ended("tls");
    assert.deepEqual(t.closed, [], "nothing came up of it");
  });

  test("one that does not read its messages is ended at a bound, and the sender hears of what did not leave", async () => {
    await using t = new SocketsUnderTest({ limits: { backlog: 200_000 } });
    const phone = t.connect(await t.listen("tcp"));
    phone.write(options("1"));
    const { flow } = await t.message();
    phone.pause();
    let failed = 0;
    const big = options("2", "x".repeat(60_000));
    for (let i = 0; i < 400; i++) t.sockets.send(flow, big, () => failed++);
    await t.ended("backlog");
    const dropped = t.stats.dropped["no-connection"];
    assert.equal(t.stats.messages.tcp.messagesOut + dropped, 400);
    await until("word of the rest", () => failed > dropped);
    assert.ok(failed < 400, "what the kernel took had left");
  });
});

describe("a connection that is gone", () => {
  test("is not replaced: who sends to its flow hears of it, later and once", async () => {
    await using t = new SocketsUnderTest();
    const phone = t.connect(await t.listen("tcp"));
    phone.write(options("1"));
    const { flow } = await t.message();
    phone.resetAndDestroy();
    await t.ended("error");
    assert.deepEqual(t.closed, [flow.connection]);
    let failed = 0;
    t.sockets.send(flow, options("2"), () => failed++);
    assert.equal(failed, 0);
    await t.settled();
    assert.equal(failed, 1);
    assert.deepEqual([t.stats.dropped["no-connection"], t.stats.connections.open], [1, 0]);
  });
});
