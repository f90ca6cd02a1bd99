/** Programs written for Node's sockets and timers run on a simulated host; the same program runs on the real ones. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as nodeConnect, createServer as nodeCreateServer } from "node:net";
import { suite, test } from "node:test";
import { VirtualClock } from "../../../src/natlab/adapters/clock.ts";
import { Emitter } from "../../../src/natlab/adapters/emitter.ts";
import { nodeDgram } from "../../../src/natlab/adapters/node-dgram.ts";
import { nodeNet, nodeTls } from "../../../src/natlab/adapters/node-net.ts";
import { withoutUdp } from "../../../src/natlab/firewall/port-rules.ts";
import { pair } from "../tcp/pair.ts";

suite("datagram sockets", () => {
  function sockets() {
    const lab = pair({ delay: 10 });
    const [left, right] = [nodeDgram(lab.world, lab.left), nodeDgram(lab.world, lab.right)];
    return { ...lab, left, right };
  }

  /** A program for `node:dgram`: an echo server and its client. Only what both kinds have is used. */
  function echo(dgram: { createSocket(type: "udp4"): EchoSocket }, at: string, done: (heard: string[]) => void): void {
    const heard: string[] = [];
    const server = dgram.createSocket("udp4");
    server.on("message", (message, remote) => {
      heard.push(`${remote.family} ${remote.size}`);
      server.send(message, remote.port, remote.address);
    });
    server.bind(0, at, () => {
      const client = dgram.createSocket("udp4");
      client.on("message", (message, remote) => {
        heard.push(`${Buffer.from(message)} from ${remote.address}`, String(remote.port === server.address().port));
        client.close();
        server.close(() => done(heard));
      });
      client.send("hello", server.address().port, at, (_, bytes) => heard.unshift(`sent ${bytes}`));
    });
  }
  interface EchoSocket {
    on(event: "message", listener: (message: Uint8Array, remote: Remote) => void): unknown;
    bind(port: number, address: string, listener: () => void): unknown;
    send(message: Uint8Array | string, port: number, address: string, sent?: Sent): void;
    address(): { port: number };
    close(listener?: () => void): unknown;
  }
  type Sent = (error: Error | null, bytes: number) => void;
  interface Remote {
    address: string;
    family: string;
    port: number;
    size: number;
  }

  test("the same program runs on Node's and on natlab's", async () => {
    const real = await new Promise<string[]>((resolve) => {
      echo({ createSocket: (type) => createSocket(type) as EchoSocket }, "127.0.0.1", resolve);
    });
    assert.deepEqual(real, ["sent 5", "IPv4 5", "hello from 127.0.0.1", "true"]);
    let virtual: string[] | undefined;
    const { world, right } = sockets();
    echo(right, "10.0.0.2", (heard) => (virtual = heard));
    world.settle();
    assert.deepEqual(virtual, ["sent 5", "IPv4 5", "hello from 10.0.0.2", "true"]);
  });

  test("events, addresses and overloads", () => {
    const { world, left, right } = sockets();
    const log: string[] = [];
    const server = right.createSocket({ type: "udp4" }, (message, { size }) =>
      log.push(`${Buffer.from(message)} ${size}`),
    );
    server.bind({ port: 9000 });
    assert.deepEqual(server.address(), { address: "10.0.0.2", family: "IPv4", port: 9000 });
    const client = left.createSocket("udp4");
    assert.throws(() => client.address(), { code: "NATLAB_ADDRESS" });
    client.send(Buffer.from("-middle-"), 1, 6, 9000, "10.0.0.2");
    client.send(["two ", Buffer.from("parts")], 9000, "10.0.0.2");
    world.settle();
    assert.deepEqual(log, ["middle 6", "two parts 9"]);
    assert.throws(() => client.send("x", 9, "server.example.org"), { code: "NATLAB_ADDRESS" });
    const second = right.createSocket("udp4").on("error", ({ code }) => log.push(code));
    second.bind(9000);
    right
      .createSocket("udp6")
      .on("error", ({ code }) => log.push(code))
      .bind(9001, "2001:db8::9");
    client.on("close", () => log.push("closed")).close();
    client.close();
    assert.throws(() => client.send("x", 9000, "10.0.0.2"), { code: "NATLAB_ENDED" });
    assert.throws(() => server.bind(1), { code: "NATLAB_PORT" });
    world.settle();
    assert.deepEqual(log.slice(2), ["EADDRINUSE", "EADDRNOTAVAIL", "closed"]);
  });
});

suite("streams", () => {
  interface Stream {
    write(data: string): boolean;
    end(data?: string): unknown;
    on(event: "data", listener: (data: Uint8Array) => void): unknown;
    on(event: "connect" | "end", listener: () => void): unknown;
    on(event: "close", listener: (hadError: boolean) => void): unknown;
  }

  /** A program for `node:net`: both ends of one conversation. */
  function converse(client: Stream, log: string[]): void {
    client.on("connect", () => log.push(`connected, ${client.write("hello")}`));
    client.on("data", (data) => log.push(`heard ${Buffer.from(data)}`));
    client.on("end", () => log.push("end"));
    client.on("close", (hadError) => log.push(`close ${hadError}`));
  }
  function serve(client: Stream): void {
    client.on("data", (data) => client.end(`${Buffer.from(data)}, you`));
  }
  const conversation = ["connected, true", "heard hello, you", "end", "close false"];

  test("the same program runs on Node's and on natlab's, bare and over TLS", async () => {
    const real: string[] = [];
    const server = nodeCreateServer((socket) => serve(socket as unknown as Stream)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = nodeConnect((server.address() as { port: number }).port, "127.0.0.1");
    converse(client as unknown as Stream, real);
    await once(client, "close");
    server.close();
    assert.deepEqual(real, conversation);
    for (const kind of [nodeNet, nodeTls]) {
      const { world, left, right } = pair({ delay: 10 });
      const log: string[] = [];
      const virtual = kind(world, right).createServer(serve).listen(443);
      converse(kind(world, left).connect({ host: "10.0.0.2", port: 443, servername: "a.example" }), log);
      world.settle();
      assert.deepEqual(log, conversation);
      assert.deepEqual(virtual.address(), { address: "10.0.0.2", family: "IPv4", port: 443 });
    }
  });

  test("errors have Node's codes, and come before close", () => {
    const { world, link, left, right } = pair();
    const net = nodeNet(world, left);
    const watch = (port: number): string[] => {
      const log: string[] = [];
      const socket = net.connect({ host: "10.0.0.2", port });
      socket.on("error", ({ code }) => log.push(code)).on("close", (hadError) => log.push(`close ${hadError}`));
      return log;
    };
    const refused = watch(9);
    nodeNet(world, right)
      .createServer({}, (socket) => socket.destroy())
      .listen(81);
    const reset = watch(81);
    world.settle();
    link.change({ loss: 1 });
    const lost = watch(81);
    world.settle(300_000);
    assert.deepEqual(
      [refused, reset, lost],
      [
        ["ECONNREFUSED", "close true"],
        ["ECONNRESET", "close true"],
        ["ETIMEDOUT", "close true"],
      ],
    );
    const log: string[] = [];
    nodeNet(world, right)
      .createServer()
      .on("error", ({ code }) => log.push(code))
      .listen(80);
    nodeNet(world, right)
      .createServer()
      .on("error", ({ code }) => log.push(code))
      .listen(80, "10.9.9.9");
    world.settle();
    assert.deepEqual(log, ["EADDRINUSE", "EADDRNOTAVAIL"]);
  });

  test("addresses, counts, half-open, idle time-outs, destroy with an error of one's own", () => {
    const { world, left, right } = pair({ delay: 10 });
    const log: string[] = [];
    const server = nodeNet(world, right).createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("end", () => socket.end("after your end"));
      log.push(`${socket.remoteAddress} ${socket.remotePort} ${socket.remoteFamily} ${socket.connecting}`);
    });
    server.listen(0, "10.0.0.2", () => log.push("listening"));
    const { port } = server.address() ?? assert.fail();
    const socket = nodeNet(world, left).connect({ host: "10.0.0.2", port, localPort: 7000 });
    assert.ok(socket.connecting);
    socket.setTimeout(5000, () => log.push(`idle at ${world.now}`));
    world.advance(1000);
    assert.equal(socket.write("half"), true);
    world.advance(10_000);
    assert.deepEqual(log, ["listening", "10.0.0.1 7000 IPv4 false", "idle at 6000"]);
    assert.deepEqual([socket.localAddress, socket.localPort, socket.bytesWritten], ["10.0.0.1", 7000, 4]);
    socket.end();
    world.settle();
    assert.deepEqual([socket.bytesRead, socket.destroyed], [14, true]);
    const other = nodeNet(world, left).connect({ host: "10.0.0.2", port });
    other.on("error", ({ message }) => log.push(message));
    other.destroy(Object.assign(new Error("enough"), { code: "MINE", syscall: "none" }));
    world.settle();
    assert.equal(log.at(-1), "enough");
    server.close(() => log.push("closed"));
    world.settle();
    assert.deepEqual([log.at(-1), server.address()], ["closed", null]);
  });

  test("the ways in which arguments come", () => {
    const { world, left, right } = pair();
    const log: string[] = [];
    const net = nodeNet(world, right);
    net.createServer(() => log.push("81 connected")).listen(81, () => log.push("81 listens"));
    net
      .createServer({}, () => log.push("82 connected"))
      .listen({ port: 82, host: "10.0.0.2" }, () => log.push("82 listens"));
    nodeNet(world, left).connect(81, "10.0.0.2", () => log.push("to 81"));
    nodeNet(world, left).createConnection({ port: 82, host: "10.0.0.2" }, () => log.push("to 82"));
    nodeNet(world, left).connect(81, "10.0.0.2");
    world.settle();
    assert.deepEqual(log.sort(), [
      "81 connected",
      "81 connected",
      "81 listens",
      "82 connected",
      "82 listens",
      "to 81",
      "to 82",
    ]);
    assert.throws(() => nodeNet(world, left).connect(81, "server.example.org"), { code: "NATLAB_ADDRESS" });
  });

  test("TLS says so, to client and server; the callbacks are told of that", () => {
    const { world, left, right } = pair();
    const log: string[] = [];
    const server = nodeTls(world, right).createServer(() => log.push("serves"));
    server.on("secureConnection", () => log.push("secureConnection")).listen(443);
    const client = nodeTls(world, left).connect({ host: "10.0.0.2", port: 443 }, () => log.push("callback"));
    client.on("connect", () => log.push("connect")).on("secureConnect", () => log.push("secureConnect"));
    world.settle();
    assert.deepEqual(log.sort(), ["callback", "connect", "secureConnect", "secureConnection", "serves"]);
    nodeNet(world, right)
      .createServer()
      .on("secureConnection", () => log.push("bare"))
      .listen(80);
    nodeNet(world, left)
      .connect(80, "10.0.0.2")
      .on("secureConnect", () => log.push("bare"));
    world.settle();
    assert.ok(!log.includes("bare"));
  });

  test("a local address or port that cannot be had is an event", () => {
    const { world, left } = pair();
    for (const kind of [nodeNet, nodeTls]) {
      const log: string[] = [];
      const watch = (local: { localAddress?: string; localPort?: number }) =>
        kind(world, left)
          .connect({ host: "10.0.0.2", port: 9, ...local })
          .on("error", ({ code }) => log.push(code))
          .on("close", (hadError) => log.push(`close ${hadError}`));
      const socket = watch({ localAddress: "10.9.9.9" });
      socket.write("hello");
      assert.deepEqual(log, [], "not before the caller can listen");
      world.settle();
      assert.deepEqual(log.splice(0), ["EADDRNOTAVAIL", "close true"]);
      assert.deepEqual([socket.destroyed, socket.connecting], [true, false]);
    }
  });

  test("backpressure: write says no, and drain comes; pause and resume", () => {
    const { world, left, right } = pair({ delay: 10 });
    let read = 0;
    nodeNet(world, right)
      .createServer({}, (socket) => {
        socket.on("data", ({ length }) => (read += length)).pause();
        world.at((world.now + 5000) as typeof world.now, () => socket.resume());
      })
      .listen(81);
    const socket = nodeNet(world, left).connect({ host: "10.0.0.2", port: 81 });
    let drained = 0;
    socket.on("drain", () => drained++);
    assert.equal(socket.write("x".repeat(200_000)), false);
    world.advance(1000);
    assert.deepEqual([read, drained], [0, 0]);
    world.settle();
    assert.deepEqual([read, drained], [200_000, 1]);
  });

  test("idle: it is told after each silence, as Node does, until the time is taken back", () => {
    const { world, left, right } = pair();
    nodeNet(world, right).createServer().listen(81);
    const socket = nodeNet(world, left).connect(81, "10.0.0.2");
    const told: number[] = [];
    const tell = (): void => void told.push(world.now);
    socket.on("timeout", tell).setTimeout(1000);
    const never = (): void => void told.push(-1);
    socket.setTimeout(1000, never).setTimeout(0, never).setTimeout(1000);
    world.advance(5000);
    socket.write("x");
    world.advance(5000);
    assert.deepEqual(told, [1000, 6000]);
    socket.write("x");
    socket.setTimeout(0);
    world.advance(5000);
    assert.equal(told.length, 2);
  });

  test("a socket that is destroyed says so at once, also to who destroys it while it is called", () => {
    const { world, left, right } = pair();
    nodeNet(world, right)
      .createServer((socket) => socket.write("x"))
      .listen(81);
    const socket = nodeNet(world, left).connect(81, "10.0.0.2");
    const seen: boolean[] = [];
    socket.on("data", () => seen.push(socket.destroyed, socket.destroy().destroyed));
    world.settle();
    assert.deepEqual(seen, [false, true]);
  });

  test("where UDP is blocked, TCP goes on: what a program written for Node's modules sees", () => {
    const { world, left, link } = pair();
    const home = world.link("home");
    world.gateway("firewall", { firewall: withoutUdp }).outside(link, "10.0.0.9").inside(home, "10.1.0.1/24");
    const guest = world.host("guest").attach(home, "10.1.0.2");
    const log: string[] = [];
    nodeDgram(world, left)
      .createSocket("udp4", () => log.push("udp"))
      .bind(5000);
    nodeNet(world, left)
      .createServer({}, () => log.push("tcp"))
      .listen(5000);
    nodeDgram(world, guest).createSocket("udp4").send("x", 5000, "10.0.0.1");
    nodeNet(world, guest).connect({ host: "10.0.0.1", port: 5000 });
    world.settle();
    assert.deepEqual(log, ["tcp"]);
  });
});

suite("clock", () => {
  test("now, time-outs, intervals, immediates; cleared ones do not happen", () => {
    const { world } = pair();
    const { now, setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } =
      new VirtualClock(world, 1_000_000);
    const log: string[] = [];
    const note = (what: unknown): void => void log.push(`${what} ${now() - 1_000_000}`);
    setTimeout(note, 50, "timeout");
    clearTimeout(setTimeout(note, 50, "never"));
    setImmediate(note, "immediate");
    clearImmediate(setImmediate(note, "never"));
    const interval = setInterval(note, 20, "interval").unref();
    setTimeout(() => clearInterval(interval), 65);
    clearTimeout(undefined);
    world.advance(1000);
    assert.deepEqual(log, ["immediate 0", "interval 20", "interval 40", "timeout 50", "interval 60"]);
    assert.equal(interval.ref().hasRef(), true);
  });
  test("without delay, or with none that is a number, is a millisecond, so that time passes", () => {
    const { world } = pair();
    const clock = new VirtualClock(world);
    let count = 0;
    const again = (): void => void (++count < 10 && clock.setTimeout(again, count % 2 === 0 ? 0 : Number.NaN));
    again();
    world.settle();
    assert.deepEqual([count, world.now], [10, 9]);
  });

  test("an interval may clear itself, and of nothing is a millisecond", () => {
    const { world } = pair();
    const clock = new VirtualClock(world);
    let count = 0;
    const interval = clock.setInterval(() => ++count === 3 && clock.clearInterval(interval), 0);
    world.settle();
    assert.deepEqual([count, world.now], [3, 3]);
  });
});

test("listeners are called in order, each once a time; once means once", () => {
  const emitter = new Emitter<{ word: [text: string] }>();
  const log: string[] = [];
  const [a, b] = [(text: string) => log.push(`a ${text}`), (text: string) => log.push(`b ${text}`)];
  emitter.on("word", a).once("word", b).addListener("word", a);
  assert.equal(emitter.emit("word", "1"), true);
  emitter.removeListener("word", a);
  emitter.emit("word", "2");
  assert.equal(emitter.listenerCount("word"), 1);
  emitter.removeAllListeners("word");
  assert.equal(emitter.emit("word", "3"), false);
  emitter.on("word", a).removeAllListeners().emit("word", "4");
  assert.deepEqual(log, ["a 1", "b 1", "a 1", "a 2"]);
});

test("a listener that is there once and for good is called so", () => {
  const emitter = new Emitter<{ word: [text: string] }>();
  const log: string[] = [];
  const note = (text: string): unknown => log.push(text);
  emitter.once("word", note).on("word", note);
  emitter.emit("word", "1");
  emitter.emit("word", "2");
  emitter.emit("word", "3");
  assert.deepEqual(log, ["1", "1", "2", "3"]);
});
