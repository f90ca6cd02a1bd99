/** The TURN client on real sockets, against Postern's daemon and coturn. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import type { TurnClientEvent } from "../../../src/core/turn/client/outputs.ts";
import type { TurnAllocationOptions } from "../../../src/node/turn-client/options.ts";
import { TurnAllocation } from "../../../src/node/turn-client/turn-allocation.ts";
import { boundUdpSockets } from "../../support/bound-sockets.ts";
import { startCoturn } from "../../support/coturn.ts";
import { requireIpv6, requirePeer } from "../../support/peers.ts";
import { freePort, freePortRange } from "../../support/ports.ts";
import { startPostern } from "../../support/postern.ts";
import type { RelayOptions, RelayUnderTest } from "../../support/relay-under-test.ts";
import { makeTestCertificates, type TestCertificates } from "../../support/test-ca.ts";
import { until } from "../../support/until.ts";

const user = { name: "alice", password: "wonderland" };
const hasIpv6 = !requireIpv6();
let directory: string;
let certificate: TestCertificates;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "postern-turn-client-"));
  certificate = await makeTestCertificates(directory);
});
after(() => rm(directory, { recursive: true }));

async function relayOptions(): Promise<RelayOptions> {
  return {
    addresses: hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"],
    user,
    relayPorts: await freePortRange(64),
    allowPeers: ["127.0.0.0/8", "::1/128"],
    certificate,
    port: await freePort(),
    tlsPort: await freePort(),
  };
}

const credentials = { username: user.name, credential: user.password };

/** A peer that sends back what it gets. On 127.0.0.2, because 127.0.0.1 is the relay's own address. */
async function startEcho(): Promise<{ readonly address: string; close(): void }> {
  const socket = createSocket("udp4");
  socket.on("message", (data, { address, port }) => socket.send(data, port, address));
  socket.bind(0, "127.0.0.2");
  await once(socket, "listening");
  return { address: `127.0.0.2:${socket.address().port}`, close: () => void socket.close() };
}

/** Sends until it comes back: UDP may lose. */
async function echoed(relay: TurnAllocation, peer: string, text: string): Promise<void> {
  const heard: string[] = [];
  relay.onData = (data, from) => heard.push(`${Buffer.from(data)} ${formatAddress(from)}`);
  await until(`the echo of ${text}`, () => {
    relay.send(peer, Buffer.from(text));
    return heard.includes(`${text} ${peer}`);
  });
}

const starters = { postern: startPostern, coturn: startCoturn };
for (const [name, start] of Object.entries(starters)) {
  suite(`against ${name}`, {
    skip: requirePeer("openssl", ...(name === "coturn" ? (["turnserver"] as const) : [])),
  }, () => {
    let relay: RelayUnderTest;
    let options: RelayOptions;
    before(async () => {
      options = await relayOptions();
      relay = await start(options);
    });
    after(() => relay.stop());

    const urls = (): [string, Partial<TurnAllocationOptions>][] => [
      [`turn:127.0.0.1:${options.port}?transport=udp`, {}],
      [`turn:127.0.0.1:${options.port}?transport=tcp`, {}],
      [`turns:localhost:${options.tlsPort}`, {}],
      ...(hasIpv6
        ? ([
            [`turn:[::1]:${options.port}?transport=udp`, {}],
            [`turn:[::1]:${options.port}?transport=tcp`, {}],
          ] as [string, Partial<TurnAllocationOptions>][])
        : []),
    ];

    test("UDP, TCP and TLS, over IPv4 and IPv6: data goes to a peer and back, on a channel and without", async () => {
      const echo = await startEcho();
      const ca = await readFile(certificate.ca, "utf8");
      for (const [url, more] of urls()) {
        await using one = await TurnAllocation.open({ url, ...credentials, tls: { ca }, ...more });
        assert.match(formatAddress(one.relayed[0] as never), /^127\.0\.0\.1:\d+$/, url);
        assert.ok(one.mapped.port > 0);
        assert.equal(one.send(echo.address, Buffer.from("too early")), false);
        await one.permit(echo.address);
        await echoed(one, echo.address, "in an indication");
        await one.bind(echo.address);
        for (const text of ["a", "odd", "on a channel", "x".repeat(1200)]) await echoed(one, echo.address, text);
        await one.close();
        assert.equal((await one.closed).reason, "closed");
        assert.equal(one.send(echo.address, Buffer.from("too late")), false);
        await assert.rejects(one.permit(echo.address), { code: "closed" });
        await assert.rejects(one.bind(echo.address), { code: "closed" });
      }
      echo.close();
      const { relayPorts } = options;
      await until("no relay port to be left open", () => boundUdpSockets(relayPorts, relay.pid) === 0);
    });

    test("IPv6 relayed addresses, two clients on one relay", { skip: requireIpv6() }, async () => {
      const url = `turn:127.0.0.1:${options.port}?transport=udp`;
      await using one = await TurnAllocation.open({ url, ...credentials, families: "ipv6" });
      await using two = await TurnAllocation.open({ url, ...credentials, families: "ipv6" });
      const [first, second] = [one, two].map(({ relayed }) => formatAddress(relayed[0] as never)) as [string, string];
      assert.match(first, /^\[::1\]:\d+$/);
      await Promise.all([one.permit(second), two.bind(first)]);
      two.onData = (data, from) => void two.send({ ...from }, data);
      await echoed(one, second, "across");
    });

    test("a certificate that nobody trusts, or that bears another name, ends the attempt, with the reason", async () => {
      const ca = await readFile(certificate.ca, "utf8");
      const url = `turns:localhost:${options.tlsPort}`;
      const untrusted = TurnAllocation.open({ url, ...credentials });
      await assert.rejects(untrusted, { code: "connect-failed", message: /certificate/ });
      const other = TurnAllocation.open({ url, ...credentials, tls: { ca, servername: "other.example" } });
      await assert.rejects(other, { code: "connect-failed", message: /other\.example/ });
      const address = `turns:127.0.0.1:${options.tlsPort}`;
      await using byAddress = await TurnAllocation.open({ url: address, ...credentials, tls: { ca } });
      assert.equal(byAddress.relayed.length, 1);
    });

    test("a peer that is refused, and one that is none, are told as such; those that wait when all ends hear of it", async () => {
      await using one = await TurnAllocation.open({
        url: `turn:127.0.0.1:${options.port}?transport=tcp`,
        ...credentials,
      });
      // coturn relays to multicast unless told otherwise.
      if (name === "postern") {
        await assert.rejects(one.permit("224.0.0.1"), { code: "forbidden", message: /Cannot permit 224\.0\.0\.1/ });
      }
      await assert.rejects(one.bind("[::1]:9"), { code: "peer-family-mismatch", message: /Cannot bind/ });
      await assert.rejects(one.bind("127.0.0.2"), { code: "bad-peer" });
      assert.throws(() => one.send("nobody", new Uint8Array(1)), { code: "bad-peer" });
      const waiting = one.permit("127.0.0.2");
      void one.close();
      await assert.rejects(waiting, { code: "closed" });
    });

    test("wrong credentials are told as such, at once", async () => {
      const url = `turn:127.0.0.1:${options.port}`;
      const opening = TurnAllocation.open({ url, ...credentials, credential: "looking glass" });
      await assert.rejects(opening, { name: "PosternError", code: "unauthenticated", message: /do not fit/ });
    });

    test("a server that is stopped and started again is noticed, and another allocation takes over", async () => {
      const echo = await startEcho();
      const own = await relayOptions();
      let server = await start(own);
      const events: TurnClientEvent[] = [];
      const url = `turn:127.0.0.1:${own.port}?transport=tcp`;
      const onEvent = (event: TurnClientEvent): void => void events.push(event);
      await using one = await TurnAllocation.open({ url, ...credentials, onEvent, reallocation: { attempts: 50 } });
      await one.bind(echo.address);
      await server.stop();
      await until("the loss", () => events.some((e) => e.type === "lost" && e.failure.reason === "connection-lost"));
      server = await start(own);
      try {
        await until("another", () => events.some((e) => e.type === "allocated" && e.again), { within: 60_000 });
        await echoed(one, echo.address, "again");
      } finally {
        echo.close();
        await one.close();
        await server.stop();
      }
    });
  });
}

suite("where UDP is blocked", { skip: requirePeer("openssl") }, () => {
  test("TCP is tried when UDP stays silent for five seconds", async () => {
    const options = await relayOptions();
    const relay = await startPostern({ ...options, addresses: ["127.0.0.1"] });
    const own = await freePort();
    const silent = createSocket("udp4").bind(own, "127.0.0.1");
    try {
      const onward = createTcpServer((socket) => {
        socket.pipe(connectTcp(options.port, "127.0.0.1")).pipe(socket);
        socket.on("error", () => {});
      }).listen(own, "127.0.0.1");
      await once(onward, "listening");
      const start = performance.now();
      await using one = await TurnAllocation.open({ url: `turn:127.0.0.1:${own}`, ...credentials });
      const ms = performance.now() - start;
      assert.ok(ms > 4_900 && ms < 9_000, `${ms} ms`);
      assert.equal(one.relayed.length, 1);
      assert.equal(one.transport, "tcp", "so ICE knows what it costs");
      await one.close();
      onward.close();
    } finally {
      silent.close();
      await relay.stop();
    }
  });
});

suite("without a server", () => {
  test("nobody listens: TCP says so at once, with what the system says", async () => {
    const url = `turn:127.0.0.1:${await freePort()}?transport=tcp`;
    await assert.rejects(TurnAllocation.open({ url, ...credentials }), {
      code: "connect-failed",
      message: /ECONNREFUSED/,
    });
  });

  test("a local address that is not the host's is told as such", async () => {
    const url = "turn:127.0.0.1?transport=udp";
    const opening = TurnAllocation.open({ url, ...credentials, localAddress: "192.0.2.1" });
    await assert.rejects(opening, { code: "connect-failed", message: /EADDRNOTAVAIL/ });
  });

  test("the signal aborts, whatever is waited for", async () => {
    const url = `turn:127.0.0.1:${await freePort()}`;
    const reason = new Error("enough");
    const controller = new AbortController();
    const opening = TurnAllocation.open({ url, ...credentials, signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await assert.rejects(opening, reason);
    await assert.rejects(TurnAllocation.open({ url, ...credentials, signal: AbortSignal.abort(reason) }), reason);
  });

  test("what cannot be asked for is refused with a sentence", async () => {
    for (const [options, code] of [
      [{ url: "stun:127.0.0.1" }, "bad-uri"],
      [{ url: "turns:127.0.0.1?transport=udp" }, "transport-not-supported"],
      [{ url: "turn:127.0.0.1?transport=udp", proxy: "http://127.0.0.1:1" }, "transport-not-supported"],
      [{ url: "turn:127.0.0.1", proxy: "socks5://alice:secret@127.0.0.1:1" }, "bad-proxy"],
      [{ url: "turn:127.0.0.1", username: "" }, "bad-credentials"],
      [{ url: "turn:name.invalid:3478" }, "no-server"],
    ] as const) {
      await assert.rejects(TurnAllocation.open({ ...credentials, ...options }), (error: Error & { code: string }) => {
        assert.doesNotMatch(error.message, /secret/);
        return error.code === code && error.name === "PosternError";
      });
    }
  });
});

suite("through an HTTP proxy", { skip: requirePeer("openssl") }, () => {
  let relay: RelayUnderTest;
  let options: RelayOptions;
  let proxy: Server;
  const asked: string[] = [];
  before(async () => {
    options = await relayOptions();
    relay = await startPostern(options);
    const server = createHttpServer();
    server.on("connect", (request, socket) => {
      asked.push(`${request.url}`);
      if (request.headers["proxy-authorization"] !== `Basic ${Buffer.from("bob:builder").toString("base64")}`) {
        socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        return;
      }
      const port = Number(/:(\d+)$/.exec(request.url ?? "")?.[1]);
      const onward = connectTcp(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        onward.pipe(socket).pipe(onward);
      });
      onward.on("error", () => socket.destroy());
      socket.on("error", () => onward.destroy());
    });
    proxy = server.listen(0, "127.0.0.1");
    await once(proxy, "listening");
  });
  after(async () => {
    proxy.close();
    await relay.stop();
  });

  test("TCP and TLS go through it, and the proxy resolves the name", async () => {
    const echo = await startEcho();
    const { port } = proxy.address() as AddressInfo;
    const ca = await readFile(certificate.ca, "utf8");
    const through = `http://bob:builder@127.0.0.1:${port}`;
    for (const url of [`turn:only-the-proxy.knows:${options.port}`, `turns:localhost:${options.tlsPort}`]) {
      await using one = await TurnAllocation.open({ url, ...credentials, proxy: through, tls: { ca } });
      await one.bind(echo.address);
      await echoed(one, echo.address, "through");
    }
    echo.close();
    assert.deepEqual(asked, [`only-the-proxy.knows:${options.port}`, `localhost:${options.tlsPort}`]);
  });

  test("a proxy that wants to know who asks, and one that is not there, are told as such", async () => {
    const { port } = proxy.address() as AddressInfo;
    const url = `turn:127.0.0.1:${options.port}?transport=tcp`;
    const open = (at: number) => TurnAllocation.open({ url, ...credentials, proxy: `http://127.0.0.1:${at}` });
    await assert.rejects(open(port), { code: "connect-failed", message: /wants a user name/ });
    await assert.rejects(open(await freePort()), { code: "connect-failed", message: /ECONNREFUSED/ });
  });
});
