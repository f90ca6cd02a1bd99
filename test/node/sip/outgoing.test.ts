import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { mkdtempDisposable, readFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { formatAddress } from "../../../src/core/base/address.ts";
import type { SipTarget } from "../../../src/core/sip/flow.ts";
import { freePort } from "../../support/ports.ts";
import { makeTestCertificates } from "../../support/test-ca.ts";
import { until } from "../../support/until.ts";
import { at } from "../host-under-test.ts";
import { options, received, SocketsUnderTest } from "./sockets-under-test.ts";

interface Certificates {
  readonly ca: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Each of an authority of its own. */
async function certificates(names: string): Promise<Certificates> {
  await using directory = await mkdtempDisposable(join(tmpdir(), "postern-sip-"));
  const files = await makeTestCertificates(directory.path, names);
  const [ca, cert, key] = await Promise.all([readFile(files.ca, "utf8"), readFile(files.cert), readFile(files.key)]);
  return { ca, cert, key };
}

const [known, nameOnly, twoNames, wildcard] = (await Promise.all(
  ["DNS:sip.example.org,IP:127.0.0.1", "DNS:sip.example.org", "DNS:a.example,DNS:b.example", "DNS:*.example.net"].map(
    certificates,
  ),
)) as [Certificates, Certificates, Certificates, Certificates];

/** A server that somebody else wrote, and who is connected to it. */
class Peer implements AsyncDisposable {
  readonly sockets: Socket[] = [];
  readonly #server: Server;

  private constructor(server: Server, on: "connection" | "secureConnection") {
    this.#server = server;
    server.on(on, (socket: Socket) => {
      socket.on("error", () => {});
      this.sockets.push(socket);
    });
    server.on("tlsClientError", () => {});
  }

  static async open(tls?: { cert: Buffer; key: Buffer }, ip = "127.0.0.1"): Promise<Peer> {
    const server = tls ? createTlsServer(tls) : createServer();
    const peer = new Peer(server, tls ? "secureConnection" : "connection");
    server.listen(0, ip);
    await once(server, "listening");
    return peer;
  }

  get target(): SipTarget {
    const { address, port } = this.#server.address() as AddressInfo;
    return { transport: "tcp", address: at(address, port) };
  }

  async socket(number = 1): Promise<Socket> {
    await until(`connection ${number}`, () => this.sockets.length >= number);
    return this.sockets[number - 1] as Socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

describe("connections that we open", () => {
  for (const ip of ["127.0.0.1", "::1"]) {
    test(`one to each place, over ${ip}: what waits is sent in order, and answers come up from it`, async () => {
      await using t = new SocketsUnderTest();
      await using peer = await Peer.open(undefined, ip);
      for (const id of ["1", "2", "3"]) t.sockets.send(peer.target, options(id));
      const socket = await peer.socket();
      const { text } = await full(received(socket), options("1") + options("2") + options("3"));
      assert.equal(text.length, 3 * options("1").length);
      socket.write("SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
      const { flow } = await t.message();
      assert.equal(formatAddress(flow.remote), formatAddress(peer.target.address));
      assert.equal(formatAddress(flow.local), formatAddress(at(ip, socket.remotePort)));
      const more = received(socket);
      t.sockets.send(peer.target, options("4"));
      t.sockets.send(flow, options("5"));
      await full(more, options("4") + options("5"));
      assert.equal(peer.sockets.length, 1);
      assert.deepEqual(t.stats.connects, { opened: 1, failed: 0 });
      assert.deepEqual([t.stats.connections.open, t.stats.connections.accepted], [1, 0]);
    });
  }

  test("one that ended is told of, and replaced by the next message, but not for its flow", async () => {
    await using t = new SocketsUnderTest();
    await using peer = await Peer.open();
    t.sockets.send(peer.target, options("1"));
    const first = await peer.socket();
    first.write(options("2"));
    const { flow } = await t.message();
    first.destroy();
    await until("the end", () => t.closed.length === 1);
    assert.deepEqual(t.closed, [flow.connection]);
    let failed = 0;
    t.sockets.send(flow, options("3"), () => failed++);
    await until("word of it", () => failed === 1);
    t.sockets.send(peer.target, options("4"));
    await full(received(await peer.socket(2)), options("4"));
    assert.equal(peer.sockets.length, 2);
  });

  test("one that is being closed takes nothing more: the next message opens another at once", async () => {
    await using t = new SocketsUnderTest({ limits: { backlog: 100_000 } });
    await using peer = await Peer.open();
    t.sockets.send(peer.target, options("1"));
    await peer.socket();
    const big = options("2", "x".repeat(60_000));
    while (t.stats.dropped["no-connection"] === 0) t.sockets.send(peer.target, big);
    t.sockets.send(peer.target, options("3"));
    await full(received(await peer.socket(2)), options("3"));
    assert.equal(t.stats.connections.closed.backlog, 1);
  });

  test("leave from the address of the listener that is nearest, which is the one that is named", async () => {
    await using t = new SocketsUnderTest();
    await using peer = await Peer.open();
    const local = await t.listen("tcp", "127.0.0.5");
    await t.listen("udp", "127.0.0.1");
    assert.equal(t.sockets.localFor(peer.target), local);
    t.sockets.send(peer.target, options("1"));
    const socket = await peer.socket();
    assert.equal(socket.remoteAddress, "127.0.0.5");
    socket.write(options("2"));
    const { flow } = await t.message();
    assert.equal(t.sockets.localFor(flow), local, "an ephemeral port is nobody's to connect to");
    const other = { transport: "tls", address: peer.target.address } as const;
    assert.equal(formatAddress(t.sockets.localFor(other)!).split(":")[0], "127.0.0.1");
  });

  test("leave from the address that is said, whichever is nearest, and so does what goes by UDP", async () => {
    await using t = new SocketsUnderTest();
    await using peer = await Peer.open();
    await t.listen("tcp", "127.0.0.1");
    await t.listen("udp", "127.0.0.1");
    const [tcp, udp] = [await t.listen("tcp", "127.0.0.5"), await t.listen("udp", "127.0.0.5")];
    t.sockets.send({ ...peer.target, local: tcp }, options("1"));
    assert.equal((await peer.socket()).remoteAddress, "127.0.0.5");
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const heard = once(socket, "message");
    t.sockets.send({ transport: "udp", address: at("127.0.0.1", socket.address().port), local: udp }, options("2"));
    const [, from] = (await heard) as [Buffer, RemoteInfo];
    assert.deepEqual([from.address, from.port], ["127.0.0.5", udp.port]);
    socket.close();
  });

  test("that cannot be opened: whoever waits hears of it, once, and the next message tries again", async () => {
    await using t = new SocketsUnderTest();
    const target = { transport: "tcp", address: at("127.0.0.1", await freePort()) } as const;
    const failed: string[] = [];
    for (const id of ["1", "2"]) t.sockets.send(target, options(id), () => failed.push(id));
    assert.equal(failed.length, 0);
    await until("word of both", () => failed.length === 2);
    t.sockets.send(target, options("3"), () => failed.push("3"));
    await until("word of the third", () => failed.length === 3);
    assert.equal(failed.join(), "1,2,3");
    assert.deepEqual(t.stats.connects, { opened: 0, failed: 2 });
    assert.equal(t.stats.dropped["no-connection"], 3);
    assert.equal(t.stats.connections.open, 0);
    assert.deepEqual(t.closed, []);
  });

  test("that are not open in time are given up; no more than so much waits for one", async () => {
    await using t = new SocketsUnderTest({ limits: { connectMs: 150, waitingMessages: 3, waitingBytes: 5_000 } });
    await using mute = await Peer.open();
    const failed: string[] = [];
    const send = (id: string, target: SipTarget, body = "") =>
      t.sockets.send(target, options(id, body), () => failed.push(id));
    const target = { ...mute.target, transport: "tls" } as const;
    for (const id of ["1", "2"]) send(id, target);
    send("too much", target, "x".repeat(4_500));
    for (const id of ["3", "too many"]) send(id, target);
    await t.settled();
    assert.equal(failed.join(), "too much,too many");
    assert.equal(t.stats.dropped.waiting, 2);
    await until("word of the rest", () => failed.length === 5);
    assert.equal(failed.slice(2).join(), "1,2,3");
    assert.equal(t.stats.connects.failed, 1);
  });

  test("are limited in number, open and opening", async () => {
    await using t = new SocketsUnderTest({ limits: { outgoing: 2 } });
    await using peers = new AsyncDisposableStack();
    const [one, two, three] = [await Peer.open(), await Peer.open(), await Peer.open()];
    for (const peer of [one, two, three]) peers.use(peer);
    let failed = 0;
    t.sockets.send(one.target, options("1"));
    await one.socket();
    t.sockets.send(two.target, options("2"));
    t.sockets.send(three.target, options("3"), () => failed++);
    await until("word of it", () => failed === 1);
    assert.equal(t.stats.dropped.outgoing, 1);
    (await one.socket()).destroy();
    await until("the end", () => t.closed.length === 1);
    t.sockets.send(three.target, options("4"));
    await full(received(await three.socket()), options("4"));
  });

  test("end when nothing was said for long, either way; strangers' limits are not theirs", async () => {
    await using t = new SocketsUnderTest({
      limits: { idleMs: 300, firstFrameMs: 50, unsettledMs: 50, connections: 0 },
    });
    await using peer = await Peer.open();
    t.sockets.send(peer.target, options("1"));
    const socket = await peer.socket();
    const begun = performance.now();
    const words = setInterval(() => socket.write(options("2")), 50);
    await t.message(10);
    clearInterval(words);
    socket.write(options("last"));
    await until("the last", () => t.texts.includes(options("last")));
    t.sockets.settle(t.arrived[0]!.flow.connection);
    assert.ok(performance.now() - begun > 400, "messages keep it open");
    assert.equal(t.stats.connections.closed.idle, 0);
    await t.ended("idle");
  });
});

describe("TLS", () => {
  async function attempt(
    served: Certificates,
    target: Partial<SipTarget>,
    authorities = [served.ca],
  ): Promise<"sent" | "failed"> {
    await using t = new SocketsUnderTest({ authorities });
    await using peer = await Peer.open(served);
    let failed = false;
    t.sockets.send({ ...peer.target, transport: "tls", ...target }, options("1"), () => {
      failed = true;
    });
    await until("an outcome", () => failed || t.stats.messages.tls.messagesOut === 1);
    if (failed) return "failed";
    await full(received(await peer.socket()), options("1"));
    return "sent";
  }

  test("a certificate of a known authority for the name that was asked for is good", async () => {
    assert.equal(await attempt(known, { serverName: "sip.example.org" }), "sent");
  });

  test("for a target without a name the certificate bears its address", async () => {
    assert.equal(await attempt(known, {}), "sent");
    assert.equal(await attempt(nameOnly, {}), "failed");
    assert.equal(await attempt(nameOnly, { serverName: "sip.example.org" }), "sent");
  });

  test("RFC 5922 §7.2: another name's is not, whatever the address", async () => {
    assert.equal(await attempt(known, { serverName: "sip.example.com" }), "failed");
    assert.equal(await attempt(known, { serverName: "192.0.2.1" }), "failed");
  });

  test("one with a wildcard is good for the names that it stands for", async () => {
    assert.equal(await attempt(wildcard, { serverName: "proxy.example.net" }), "sent");
    assert.equal(await attempt(wildcard, { serverName: "example.net" }), "failed");
  });

  test("nor is that of an authority that nobody knows", async () => {
    assert.equal(await attempt(known, { serverName: "sip.example.org" }, [nameOnly.ca]), "failed");
    assert.equal(await attempt(known, { serverName: "sip.example.org" }, []), "failed");
  });

  test("a connection is used for the name that it was opened for, and no other", async () => {
    await using t = new SocketsUnderTest({ authorities: [twoNames.ca] });
    await using peer = await Peer.open(twoNames);
    const to = (serverName: string) => ({ ...peer.target, transport: "tls", serverName }) as const;
    t.sockets.send(to("a.example"), options("1"));
    t.sockets.send(to("A.EXAMPLE"), options("2"));
    t.sockets.send(to("b.example"), options("3"));
    const [first, second] = [await peer.socket(1), await peer.socket(2)];
    const texts = [received(first), received(second)];
    await until("all", () => texts.some(({ text }) => text === options("1") + options("2")));
    await until("all", () => texts.some(({ text }) => text === options("3")));
    assert.equal(peer.sockets.length, 2);
  });
});

async function full(stream: { text: string }, text: string): Promise<{ text: string }> {
  await until("everything", () => stream.text === text);
  return stream;
}
