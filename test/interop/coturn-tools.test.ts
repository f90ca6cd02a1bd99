/**
 * coturn's own client tools against Postern, in every mode that applies: real processes on loopback.
 *
 * The peer listens on 127.0.0.2, because 127.0.0.1 is Postern's own address and so never a peer. IPv6 has one loopback
 * address only, so IPv6 is relayed from client to client here, and to a peer in `namespaces.test.ts`. Every client has
 * a source address of its own, so that limits per source stay on and are not met.
 *
 * Over TLS this client loses what reaches it together with the message before, also with coturn's server: `-z` keeps
 * messages apart, and because a busy machine brings them together again, a run over TLS has three attempts.
 *
 * `turnutils_uclient` makes an allocation first that it never uses nor ends, and in some modes it leaves everything
 * behind; the servers here give short lifetimes, so that "nothing is left" can be waited for.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parseIp } from "../../src/core/base/address.ts";
import { boundUdpSockets } from "../support/bound-sockets.ts";
import { type Child, runChild, startChild } from "../support/child.ts";
import { peerPath, requireIpv6, requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { type RelayOptions, type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { makeTestCertificates, type TestCertificates } from "../support/test-ca.ts";
import { TurnClient } from "../support/turn-client.ts";
import { until } from "../support/until.ts";
import { messageBytes, messages, relayedPorts, runUclient, tallyOf, uclientCommand } from "./uclient.ts";

const skip = requirePeer("turnutils_uclient", "turnutils_peer", "openssl");
const peerHost = "127.0.0.2";
const user = { name: "alice", password: "wonderland" };
const asUser = ["-u", user.name, "-w", user.password];

let directory: string;
let certificate: TestCertificates;
let peerPort: number;
let sources = 10;
const peers: Child[] = [];
const relays: RelayUnderTest[] = [];

interface Started extends RelayUnderTest {
  readonly options: RelayOptions;
}

async function start(options: Partial<RelayOptions> = {}): Promise<Started> {
  const all: RelayOptions = {
    addresses: requireIpv6() ? ["127.0.0.1"] : ["127.0.0.1", "::1"],
    ...(options.sharedSecret === undefined ? { user } : {}),
    relayPorts: await freePortRange(128),
    allowPeers: ["127.0.0.0/8", "::1/128"],
    channelRange: "rfc5766",
    certificate,
    port: await freePort(),
    tlsPort: await freePort(),
    ...options,
  };
  const relay = await startRelay(all);
  relays.push(relay);
  return { ...relay, options: all };
}

/** A source address that no other client of this file has. */
const freshSource = () => ["-L", `127.0.1.${sources++}`];
const toPeer = () => ["-c", "-e", peerHost, "-r", String(peerPort)];

describe("coturn's tools", { skip }, () => {
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "postern-interop-"));
    certificate = await makeTestCertificates(directory);
    peerPort = (await freePortRange(2)).low;
    peers.push(await startChild([peerPath("turnutils_peer")!, "-L", peerHost, "-p", String(peerPort)]));
  });

  after(async () => {
    await Promise.all([...relays, ...peers].map((process) => process.stop()));
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  describe("turnutils_uclient loses nothing", { skip, concurrency: 8 }, () => {
    let relay: Started;
    before(async () => {
      relay = await start();
    });

    const noIpv6 = requireIpv6();
    const modes: readonly {
      name: string;
      args: () => readonly string[];
      sessions?: number;
      length?: number;
      ipv6?: boolean;
      tls?: boolean;
      server?: string;
    }[] = [
      { name: "UDP, channels", args: () => toPeer() },
      { name: "UDP, channels, with IPv4 asked for", args: () => [...toPeer(), "-X"] },
      { name: "UDP, Send indications", args: () => [...toPeer(), "-s"] },
      {
        name: "UDP, four clients with messages of 1200 bytes",
        args: () => [...toPeer(), "-m", "4", "-l", "1200"],
        sessions: 4,
        length: 1200,
      },
      { name: "UDP, client to client, channels", args: () => ["-y", "-c"], sessions: 2 },
      { name: "UDP, client to client, Send indications", args: () => ["-y", "-c", "-s"], sessions: 2 },
      { name: "UDP, client to client, IPv6 relay", args: () => ["-y", "-c", "-x"], sessions: 2, ipv6: true },
      { name: "UDP over IPv6, IPv6 relay", args: () => ["-y", "-c", "-x"], sessions: 2, ipv6: true, server: "::1" },
      { name: "UDP over IPv6, IPv4 relay", args: () => [...toPeer(), "-X"], ipv6: true, server: "::1" },
      { name: "TCP, channels", args: () => ["-t", ...toPeer()] },
      { name: "TCP, Send indications", args: () => ["-t", "-s", ...toPeer()] },
      {
        name: "TCP, channels padded also where that is not needed",
        length: 161,
        args: () => ["-t", "-D", "-l", "161", ...toPeer()],
      },
      { name: "TCP, client to client", args: () => ["-t", "-y", "-c"], sessions: 2 },
      { name: "TLS, channels", args: () => ["-t", "-S", ...toPeer()], tls: true },
      { name: "TLS, Send indications", args: () => ["-t", "-S", "-s", ...toPeer()], tls: true },
      { name: "TLS, client to client", args: () => ["-t", "-S", "-y", "-c", "-z", "50"], sessions: 2, tls: true },
    ];
    for (const {
      name,
      args,
      sessions = 1,
      length = messageBytes,
      ipv6 = false,
      tls = false,
      server = "127.0.0.1",
    } of modes) {
      test(name, { skip: ipv6 && noIpv6 }, async () => {
        const all = ["-p", String(tls ? relay.options.tlsPort : relay.options.port), ...asUser, ...args()];
        const run = () => runUclient(server, server === "::1" ? all : [...all, ...freshSource()]);
        let { sentBytes, receivedBytes } = await run();
        for (let attempt = 2; tls && attempt <= 3 && receivedBytes !== sentBytes; attempt++) {
          ({ sentBytes, receivedBytes } = await run());
        }
        assert.equal(sentBytes, sessions * messages * length);
        assert.equal(receivedBytes, sentBytes);
      });
    }

    for (const [name, extra] of [
      ["UDP", []],
      ["TCP", ["-t"]],
    ] as const) {
      test(`${name}, RTP and RTCP on adjacent ports by EVEN-PORT and RESERVATION-TOKEN`, async () => {
        const args = ["-p", String(relay.options.port), ...asUser, ...extra, "-y", ...freshSource()];
        const result = await runUclient("127.0.0.1", args);
        assert.equal(result.sentBytes, 4 * messages * messageBytes);
        assert.equal(result.receivedBytes, result.sentBytes);
        const relayed = relayedPorts(result);
        const reserving = relayed.flatMap(({ port, token }, i) =>
          token === 0n ? [] : [{ port, next: relayed[i + 1] }],
        );
        assert.ok(reserving.length >= 2, `tokens in ${result.output}`);
        for (const { port, next } of reserving) {
          assert.equal(port % 2, 0);
          if (next !== undefined) assert.equal(next.port, port + 1);
        }
      });
    }

    test("dual allocation by the code points of before RFC 8656 gets IPv4, and 443 for what it did not get", async () => {
      // By chance its Refresh names no family, or IPv4, or IPv6; when it is refused this client gives up.
      for (let run = 0; run < 12; run++) {
        const args = ["-p", String(relay.options.port), ...asUser, "-Z", ...toPeer(), ...freshSource()];
        const client = await startChild(uclientCommand("127.0.0.1", args));
        await client.ended();
        const { sentBytes, receivedBytes, output } = tallyOf(client.output());
        if (sentBytes === 0) {
          assert.match(output, /error 443/);
          continue;
        }
        assert.equal(sentBytes, messages * messageBytes);
        assert.equal(receivedBytes, sentBytes);
        return;
      }
      assert.fail("no run without a refusal");
    });

    test("extra permissions and channels to strangers do no harm", async () => {
      const args = ["-p", String(relay.options.port), ...asUser, "-G", "-m", "3", ...toPeer(), ...freshSource()];
      const { sentBytes, receivedBytes } = await runUclient("127.0.0.1", args);
      assert.equal(sentBytes, 3 * messages * messageBytes);
      assert.equal(receivedBytes, sentBytes);
    });

    for (const [name, extra] of [
      ["UDP", []],
      ["TCP", ["-t"]],
    ] as const) {
      test(`${name}, clients that disconnect at random and come again`, async () => {
        const args = [
          "-p",
          String(relay.options.port),
          ...asUser,
          ...extra,
          "-B",
          "-m",
          "4",
          ...toPeer(),
          ...freshSource(),
        ];
        const { receivedBytes } = await runUclient("127.0.0.1", args);
        assert.ok(receivedBytes > 0);
        assert.ok(relay.isRunning(), relay.output());
      });
    }
  });

  test("turnutils_uclient makes credentials from a shared secret, and a wrong one gets nothing", { skip }, async () => {
    const relay = await start({ sharedSecret: "a secret of the application" });
    const args = ["-p", String(relay.options.port), "-u", "bob", ...toPeer()];
    const right = await runUclient("127.0.0.1", [...args, ...freshSource(), "-W", "a secret of the application"]);
    assert.equal(right.sentBytes, messages * messageBytes);
    assert.equal(right.receivedBytes, right.sentBytes);

    const wrong = await startChild(uclientCommand("127.0.0.1", [...args, ...freshSource(), "-W", "another secret"]));
    await wrong.ended();
    assert.match(wrong.output(), /Cannot complete Allocation/);
    assert.doesNotMatch(wrong.output(), /Received relay addr/);
  });

  test("the range of RFC 8656 refuses what lies beyond it: coturn's client picks from RFC 5766's", {
    skip,
  }, async (t) => {
    const relay = await start({ channelRange: "rfc8656" });
    if (relay.name === "coturn") return t.skip("coturn knows RFC 5766's range only");
    // It draws from 0x4000-0x7FFF and gives up at the first refusal, so one run in four passes its first bind.
    for (let run = 0; run < 20; run++) {
      const args = ["-p", String(relay.options.port), ...asUser, ...toPeer(), ...freshSource()];
      const client = await startChild(uclientCommand("127.0.0.1", args));
      await until("a bind to be answered", () => /cb response received:[\s\S]*?(success|error)/.test(client.output()));
      const refused = /channel bind: error 400/.test(client.output());
      await client.stop("SIGKILL");
      if (refused) return;
    }
    assert.fail("no channel beyond 0x4FFF was refused");
  });

  test("DONT-FRAGMENT is refused where the datapath cannot honour it", { skip }, async (t) => {
    const relay = await start({ postern: { datapath: "dgram" } });
    if (relay.name === "coturn") return t.skip("coturn takes it, whether or not it can");
    const args = ["-p", String(relay.options.port), ...asUser, "-g", ...toPeer(), ...freshSource()];
    const client = await startChild(uclientCommand("127.0.0.1", args));
    await client.ended();
    assert.match(client.output(), /error 420/);
    assert.equal(await relay.metric("postern_turn_allocations"), 0);
  });

  describe("clients that misbehave leave the server up and nothing allocated", { skip }, () => {
    let relay: Started;
    before(async () => {
      relay = await start({ maxLifetime: 4 });
    });

    /** Runs misbehaving clients side by side. They may hang, waiting for an answer to what they mangled, so they are ended. */
    async function misbehave(modes: readonly (readonly string[])[], { within }: { within: number }) {
      const clients = await Promise.all(
        modes.map((mode) => {
          const port = mode.includes("-S") ? relay.options.tlsPort : relay.options.port;
          return startChild(uclientCommand("127.0.0.1", ["-p", String(port), ...asUser, ...mode, ...freshSource()]));
        }),
      );
      await until("all to end", () => clients.every((client) => client.ending() !== undefined), { within }).catch(
        () => {},
      );
      await Promise.all(clients.map((client) => client.stop("SIGKILL")));
      return clients.map((client) => client.output());
    }

    async function assertUnharmed() {
      assert.ok(relay.isRunning(), relay.output());
      assert.ok(held() > 0, "something was allocated, and left behind");
      // coturn gives ten minutes whatever it is told.
      if (relay.name !== "coturn") {
        await until("every relayed transport address to be given back", () => held() === 0, { within: 60_000 });
        assert.equal(await relay.metric("postern_turn_allocations"), 0);
      }
      await using client = await TurnClient.connect({
        port: relay.options.port,
        from: `127.0.1.${sources++}`,
        username: user.name,
        password: user.password,
      });
      const peer = parseIp(peerHost, peerPort)!;
      await client.allocate();
      await client.permit(peer);
      client.send(peer, Buffer.from("still there?"));
      assert.equal(Buffer.from((await client.receive()).data).toString(), "still there?");
      await client.refresh(0);
    }
    const held = () => boundUdpSockets(relay.options.relayPorts, relay.pid);

    test("negative: wrong channel numbers", async () => {
      const modes = [["-N"], ["-N", "-t"], ["-N", "-t", "-S"]].map((mode) => [...mode, ...toPeer()]);
      const outputs = await misbehave(modes, { within: 60_000 });
      for (const output of outputs) assert.match(output, /channel bind: error 400/);
      await assertUnharmed();
    });

    test("protocol-negative: one request in ten mangled", async () => {
      const modes = [["-R"], ["-R", "-s"], ["-R", "-t"], ["-R", "-t", "-S"], ["-R", "-N"], ["-R", "-y"]];
      const outputs = await misbehave(
        modes.map((mode) => (mode.includes("-y") ? mode : [...mode, ...toPeer()])),
        { within: 2_000 },
      );
      for (const output of outputs) assert.match(output, /allocate sent/);
      await assertUnharmed();
    });

    test("floods: connect and leave at once, with requests beyond need", async () => {
      const modes = [["-O"], ["-O", "-G"], ["-O", "-t"], ["-O", "-G", "-t", "-S"]];
      await misbehave(
        modes.map((mode) => [...mode, "-m", "25", ...toPeer()]),
        { within: 60_000 },
      );
      await assertUnharmed();
    });
  });

  test("turnutils_stunclient is told its own address, over IPv4 and IPv6", { skip }, async () => {
    const relay = await start();
    for (const [server, local] of [["127.0.0.1", "127.0.3.7"], ...(requireIpv6() ? [] : [["::1", "::1"]])]) {
      const output = await runChild([
        peerPath("turnutils_stunclient")!,
        ...["-p", String(relay.options.port), "-L", local!, server!],
      ]);
      assert.match(output, new RegExp(`UDP reflexive addr: ${local}:\\d+`));
    }
  });

  test("the classic client of RFC 3489 is told its own address", { skip: skip || requirePeer("stun") }, async () => {
    const relay = await start();
    const local = await freePort();
    // Its exit status says what kind of NAT it believes in, so that is not asked for.
    const child = await startChild([
      peerPath("stun")!,
      ...[`127.0.0.1:${relay.options.port}`, "1", "-v", "-p", String(local)],
    ]);
    await child.ended();
    assert.match(child.output(), new RegExp(`MappedAddress = 127\\.0\\.0\\.1:${local}\\b`));
    assert.match(child.output(), /ok=1/);
  });
});
