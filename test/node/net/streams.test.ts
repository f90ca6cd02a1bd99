import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import type { StreamLimits } from "../../../src/node/net/stream-limits.ts";
import type { StreamEnd } from "../../../src/node/net/stream-stats.ts";
import { TurnClient } from "../../support/turn-client.ts";
import { until } from "../../support/until.ts";
import { makeIdentity } from "../certificate.ts";
import { alice, at, HostUnderTest, LoopbackPeer } from "../host-under-test.ts";

const identity = await makeIdentity("streams.example");
const binding = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(Buffer.alloc(12, 7))).finish();

class Setup implements AsyncDisposable {
  readonly #host: HostUnderTest;
  readonly port: number;
  readonly #sockets: Socket[] = [];

  private constructor(host: HostUnderTest, port: number) {
    this.#host = host;
    this.port = port;
  }

  static async create(streams: Partial<StreamLimits>, transport: "tcp" | "tls" = "tcp"): Promise<Setup> {
    const host = await HostUnderTest.create({ streams });
    const tls = transport === "tls" ? { tls: identity } : {};
    const { address } = await host.host.listen({ transport, address: at("127.0.0.1"), ...tls });
    return new Setup(host, address.port);
  }

  get stats() {
    return this.#host.host.stats.streams;
  }

  get events() {
    return this.#host.events;
  }

  /** A TCP connection whose errors do not matter. */
  connect(from = "127.0.0.1"): Socket {
    const socket = connect({ port: this.port, host: "127.0.0.1", localAddress: from, noDelay: true });
    socket.on("error", () => {});
    this.#sockets.push(socket);
    return socket;
  }

  /** A connection that has had a Binding answered. */
  async served(from?: string): Promise<Socket> {
    const socket = this.connect(from);
    socket.write(binding);
    await once(socket, "data");
    return socket;
  }

  async ended(end: StreamEnd, times = 1): Promise<void> {
    await until(`an end by ${end}`, () => this.stats.closed[end] === times);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#host[Symbol.asyncDispose]();
    assert.equal(this.stats.open, 0);
    assert.equal(this.stats.halfOpen, 0);
    assert.deepEqual(this.#host.lines, []);
  }
}

/** Stands between a client and the server, and can stop reading what the server sends. */
class StoppableWay implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  #toServer: Socket | undefined;

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const toServer = connect(port, "127.0.0.1");
      this.#toServer = toServer;
      this.#sockets.push(client, toServer);
      for (const socket of [client, toServer]) socket.on("error", () => {});
      client.pipe(toServer);
      toServer.on("data", (data) => client.write(data));
    });
  }

  static async open(port: number): Promise<StoppableWay> {
    const way = new StoppableWay(port);
    way.#server.listen(0, "127.0.0.1");
    await once(way.#server, "listening");
    return way;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#toServer?.pause();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

describe("frames", () => {
  test("come whole, however they are cut", async () => {
    await using t = await Setup.create({});
    const socket = t.connect();
    let answers = 0;
    socket.on("data", (data: Buffer) => {
      answers += data.length;
    });
    for (const byte of binding) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until("an answer", () => answers === 32);
    socket.write(Buffer.concat([binding, binding, binding]));
    await until("three more", () => answers === 4 * 32);
    assert.equal(t.stats.framesIn, 4);
    assert.equal(t.stats.framesOut, 4);
    assert.equal(t.stats.bytesIn, 80);
    assert.equal(t.stats.bytesOut, 128);
  });

  test("bytes that are none end the connection at once", async () => {
    await using t = await Setup.create({});
    const socket = await t.served();
    socket.write(Uint8Array.of(0xff, 0, 0, 0));
    await once(socket, "close");
    await t.ended("not-a-frame");
  });

  test("nothing after such bytes is heard, and a frame before them is", async () => {
    await using t = await Setup.create({});
    const socket = t.connect();
    socket.write(Buffer.concat([binding, Uint8Array.of(0x80), binding]));
    await t.ended("not-a-frame");
    assert.equal(t.stats.framesIn, 1);
  });

  test("one that claims to be too long ends the connection at once", async () => {
    await using t = await Setup.create({ frameBytes: 1000 });
    const socket = await t.served();
    socket.write(Uint8Array.of(0x40, 0, 0x03, 0xe5));
    await t.ended("frame-too-long");
  });

  test("the longest one is let through", async () => {
    await using t = await Setup.create({ frameBytes: 1000 });
    const socket = await t.served();
    const frame = Buffer.alloc(1000);
    frame.writeUInt16BE(0x4000, 0);
    frame.writeUInt16BE(996, 2);
    socket.write(frame);
    await until("the frame", () => t.stats.framesIn === 2);
    assert.equal(t.stats.open, 1);
  });
});

describe("time limits", () => {
  test("a connection that sends nothing is ended", async () => {
    await using t = await Setup.create({ firstFrameMs: 60 });
    const socket = t.connect();
    await once(socket, "close");
    await t.ended("no-frame");
  });

  test("a frame in time is not enough: who never allocates is ended, however often it speaks", async () => {
    await using t = await Setup.create({ firstFrameMs: 60, withoutAllocationMs: 400 });
    const socket = await t.served();
    assert.equal(t.stats.halfOpen, 1);
    const keepAlive = setInterval(() => socket.write(binding), 20);
    try {
      await t.ended("no-allocation");
    } finally {
      clearInterval(keepAlive);
    }
    assert.equal(t.stats.closed["no-frame"], 0);
  });

  test("a frame that drips is ended, however often a byte comes", async () => {
    await using t = await Setup.create({ frameMs: 120 });
    const socket = await t.served();
    socket.write(Uint8Array.of(0x40, 0, 0x01, 0));
    const drip = setInterval(() => socket.write(Uint8Array.of(1)), 15);
    try {
      await t.ended("slow-frame");
    } finally {
      clearInterval(drip);
    }
  });

  test("frames that are cut but go on are not slow, nor is silence between them", async () => {
    await using t = await Setup.create({ frameMs: 80 });
    const socket = await t.served();
    socket.write(binding.subarray(0, 13));
    const start = performance.now();
    while (performance.now() - start < 300) {
      socket.write(Buffer.concat([binding.subarray(13), binding.subarray(0, 13)]));
      await once(socket, "data");
      await delay(5);
    }
    assert.equal(t.stats.open, 1);
    assert.equal(t.stats.closed["slow-frame"], 0);
  });

  test("the time without an allocation is limited, before the first and after the last", async () => {
    await using t = await Setup.create({ withoutAllocationMs: 150 });
    await using client = await TurnClient.connect({ transport: "tcp", port: t.port, ...alice });
    await client.allocate();
    await t.served();
    await t.ended("no-allocation");
    assert.equal(client.isClosed, false);
    await client.refresh(0);
    await client.closed;
    await t.ended("no-allocation", 2);
  });
});

describe("limits on connections", () => {
  async function refused(socket: Socket): Promise<void> {
    await new Promise((resolve) => socket.once("close", resolve));
  }

  test("in total", async () => {
    await using t = await Setup.create({ connections: 2, halfOpen: 2 });
    await t.served("127.0.0.1");
    await t.served("127.0.0.2");
    await refused(t.connect("127.0.0.3"));
    assert.equal(t.stats.refused.connections, 1);
  });

  test("per source, and a place is free again when one leaves", async () => {
    await using t = await Setup.create({ connectionsPerSource: 2 });
    const first = await t.served("127.0.0.2");
    await t.served("127.0.0.2");
    await refused(t.connect("127.0.0.2"));
    assert.equal(t.stats.refused["connections-per-source"], 1);
    await t.served("127.0.0.3");
    first.destroy();
    await t.ended("client");
    await t.served("127.0.0.2");
  });

  test("half-open, in total", async () => {
    await using t = await Setup.create({ halfOpen: 2 });
    t.connect("127.0.0.1");
    t.connect("127.0.0.2");
    await until("two", () => t.stats.halfOpen === 2);
    await refused(t.connect("127.0.0.3"));
    assert.equal(t.stats.refused["half-open"], 1);
  });

  test("strangers cannot hold the places of those who allocate", async () => {
    await using t = await Setup.create({ halfOpen: 1 });
    await using client = await TurnClient.connect({ transport: "tcp", port: t.port, ...alice });
    await client.allocate();
    assert.equal(t.stats.halfOpen, 0);
    await t.served("127.0.0.2");
    assert.equal(t.stats.halfOpen, 1, "a Binding proves nothing");
    await refused(t.connect("127.0.0.3"));
    assert.ok(await client.refresh(600));
  });

  test("half-open, per source", async () => {
    await using t = await Setup.create({ halfOpenPerSource: 1 });
    const first = t.connect("127.0.0.2");
    await until("one", () => t.stats.halfOpen === 1);
    await refused(t.connect("127.0.0.2"));
    assert.equal(t.stats.refused["half-open-per-source"], 1);
    first.destroy();
    await until("none", () => t.stats.halfOpen === 0);
    await t.served("127.0.0.2");
  });
});

describe("clients that misbehave", () => {
  test("a reset ends the allocation, once", async () => {
    await using t = await Setup.create({});
    const client = await TurnClient.connect({ transport: "tcp", port: t.port, ...alice });
    await client.allocate();
    const socket = await t.served();
    socket.resetAndDestroy();
    await t.ended("error");
    await client.close();
    await until("the end", () => t.events.length === 2);
    assert.equal(t.events[1]?.type, "allocation-ended");
  });

  test("one that does not read is sent no more media, and is ended when it stalls for long", async () => {
    await using t = await Setup.create({ mediaBacklog: 100_000, stalledMs: 400 });
    await using peer = await LoopbackPeer.open();
    await using way = await StoppableWay.open(t.port);
    const client = await TurnClient.connect({ transport: "tcp", port: way.port, ...alice });
    const { relayed } = await client.allocate();
    await client.bindChannel(0x4000, peer.address);
    way.stop();
    const payload = Buffer.alloc(50_000);
    await until(
      "drops",
      () => {
        for (let i = 0; i < 4; i++) peer.send(payload, relayed[0]!);
        return t.stats.mediaDropped > 0;
      },
      { within: 60_000 },
    );
    assert.equal(t.stats.closed.stalled, 0);
    await t.ended("stalled");
    await until("the end", () => t.events.some((e) => e.type === "allocation-ended"));
    await client.close();
  });
});

describe("TLS", () => {
  test("silence before the handshake, and after it, is limited", async () => {
    await using t = await Setup.create({ firstFrameMs: 100 }, "tls");
    t.connect();
    await until("one", () => t.stats.halfOpen === 1);
    await t.ended("tls");
    const socket = connectTls({ port: t.port, host: "127.0.0.1", rejectUnauthorized: false });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    assert.equal(t.stats.halfOpen, 1);
    await t.ended("no-frame");
  });

  test("bytes that are no handshake, a handshake cut short, and an old version", async () => {
    await using t = await Setup.create({}, "tls");
    t.connect().write("GET / HTTP/1.1\r\n\r\n");
    await t.ended("tls");
    t.connect().end(Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01));
    await t.ended("tls", 2);
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
    const socket = connectTls({ port: t.port, host: "127.0.0.1", rejectUnauthorized: false, ...old });
    const [error] = await once(socket, "error");
    assert.match(error.code, /PROTOCOL_VERSION/);
    await t.ended("tls", 3);
    await using client = await TurnClient.connect({ transport: "tls", port: t.port, ...alice });
    await client.allocate();
  });

  test("renegotiation is refused", async () => {
    await using t = await Setup.create({}, "tls");
    const socket = connectTls({
      port: t.port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      maxVersion: "TLSv1.2",
    });
    await once(socket, "secureConnect");
    const refused = once(socket, "error");
    socket.on("error", () => {});
    socket.renegotiate({}, () => {});
    assert.equal((await refused)[0].code, "ERR_SSL_NO_RENEGOTIATION");
    socket.destroy();
  });

  test("bytes that are no frame end the connection at once there too", async () => {
    await using t = await Setup.create({}, "tls");
    const socket = connectTls({ port: t.port, host: "127.0.0.1", rejectUnauthorized: false });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    socket.write("hello");
    socket.write(Buffer.alloc(0x6c6c));
    await t.ended("frame-too-long");
  });

  test("limits count a client from the moment it is accepted", async () => {
    await using t = await Setup.create({ halfOpenPerSource: 1 }, "tls");
    t.connect();
    await until("one", () => t.stats.halfOpen === 1);
    const second = t.connect();
    await new Promise((resolve) => second.once("close", resolve));
    assert.equal(t.stats.refused["half-open-per-source"], 1);
  });
});
