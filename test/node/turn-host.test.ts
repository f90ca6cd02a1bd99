import assert from "node:assert/strict";
import { createConnection, createServer } from "node:net";
import { describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { formatAddress, formatIp } from "../../src/core/base/address.ts";
import { PosternError } from "../../src/core/base/failure.ts";
import type { Flow } from "../../src/core/turn/server/flow.ts";
import type { UserKeys } from "../../src/core/turn/server/outputs.ts";
import type { SocketId } from "../../src/node/datapath/datapath.ts";
import { DgramDatapath } from "../../src/node/datapath/dgram.ts";
import { Secret } from "../../src/node/secret.ts";
import { TurnHost } from "../../src/node/turn-host.ts";
import { requireIpv6 } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { Refused, TurnClient } from "../support/turn-client.ts";
import { CONFIG, SECRET } from "../support/turn-world.ts";
import { until } from "../support/until.ts";
import { makeIdentity } from "./certificate.ts";
import { alice, aliceKeys, at, HostUnderTest, LoopbackPeer } from "./host-under-test.ts";

const identity = await makeIdentity("first.example");

function hasCode(code: string) {
  return (error: unknown): boolean => error instanceof PosternError && error.code === code;
}

async function listen({ host }: HostUnderTest, transport: "udp" | "tcp" | "tls" = "udp", ip = "127.0.0.1") {
  return host.listen({ transport, address: at(ip), ...(transport === "tls" ? { tls: identity } : {}) });
}

describe("relaying through real sockets", () => {
  for (const transport of ["udp", "tcp", "tls"] as const) {
    for (const ip of ["127.0.0.1", "::1"]) {
      const skip = ip === "::1" && requireIpv6();
      test(`a client on ${transport} at ${ip}: channels and indications, both ways`, { skip }, async () => {
        await using t = await HostUnderTest.create();
        const { address } = await listen(t, transport, ip);
        await using peer = await LoopbackPeer.open();
        await using client = await TurnClient.connect({ transport, host: ip, port: address.port, ...alice });
        const { relayed, mapped } = await client.allocate();
        assert.equal(formatIp(mapped), ip);
        const relay = relayed[0]!;
        assert.equal(formatIp(relay), "127.0.0.1");

        await client.permit(peer.address);
        client.send(peer.address, Buffer.from("by indication"));
        await until("the indication's payload", () => peer.received.length === 1);
        assert.deepEqual(peer.received[0], { data: Buffer.from("by indication"), from: formatAddress(relay) });
        peer.send(Buffer.from("back"), relay);
        const back = await client.receive();
        assert.equal(Buffer.from(back.data).toString(), "back");
        assert.equal(formatAddress(back.peer!), formatAddress(peer.address));

        await client.bindChannel(0x4001, peer.address);
        for (const size of [0, 1, 2, 3, 4, 171, 1200, 9000]) {
          const payload = Buffer.alloc(size, size);
          const sent = peer.received.length;
          client.sendOnChannel(0x4001, payload);
          await until("the channel's payload", () => peer.received.length === sent + 1);
          assert.deepEqual(peer.received[sent]?.data, payload);
          peer.send(payload, relay);
          assert.deepEqual(await client.receive(), { channel: 0x4001, data: payload });
        }
        assert.equal(t.host.stats.server.allocations, 1);
        assert.equal(t.events[0]?.type, "allocation-created");
      });
    }
  }

  test("two clients of one host meet at their relayed addresses", async () => {
    await using t = await HostUnderTest.create();
    const { address } = await listen(t);
    const tcp = await listen(t, "tcp");
    await using one = await TurnClient.connect({ port: address.port, ...alice });
    await using two = await TurnClient.connect({ transport: "tcp", port: tcp.address.port, ...alice });
    const [here, there] = [(await one.allocate()).relayed[0]!, (await two.allocate()).relayed[0]!];
    await one.bindChannel(0x4000, there);
    await two.bindChannel(0x4002, here);
    one.sendOnChannel(0x4000, Buffer.from("hello"));
    assert.deepEqual(await two.receive(), { channel: 0x4002, data: Buffer.from("hello") });
    two.sendOnChannel(0x4002, Buffer.from("hello to you"));
    assert.deepEqual(await one.receive(), { channel: 0x4000, data: Buffer.from("hello to you") });
  });

  test("the machine's timer runs: an allocation ends by itself", async () => {
    await using t = await HostUnderTest.create({}, { lifetime: { default: 1, max: 1 } });
    const { address } = await listen(t);
    await using client = await TurnClient.connect({ port: address.port, ...alice });
    await client.allocate();
    assert.equal(t.datapath.stats.sockets, 2);
    await until("the end", () => t.events.some((e) => e.type === "allocation-ended" && e.reason === "expired"));
    assert.equal(t.datapath.stats.sockets, 1);
  });

  test("a client whose stream closes loses its allocation, once", async () => {
    await using t = await HostUnderTest.create();
    const { address } = await listen(t, "tcp");
    const client = await TurnClient.connect({ transport: "tcp", port: address.port, ...alice });
    await client.allocate();
    await client.close();
    await until("the end", () => t.host.stats.server.allocations === 0);
    const ends = t.events.filter((e) => e.type === "allocation-ended");
    assert.deepEqual(
      ends.map((e) => e.reason),
      ["client-closed"],
    );
    assert.equal(t.host.stats.streams.open, 0);
    assert.equal(t.host.stats.streams.closed.client, 1);
  });

  test("a relay port that somebody else has is skipped", async () => {
    const { low } = await freePortRange(2);
    await using t = await HostUnderTest.create({}, { relayPorts: { min: low, max: low + 1 } });
    await using other = await LoopbackPeer.open("127.0.0.1", low);
    const { address } = await listen(t);
    await using client = await TurnClient.connect({ port: address.port, ...alice });
    const { relayed } = await client.allocate();
    assert.equal(relayed[0]!.port, other.address.port + 1);
  });
});

describe("users", () => {
  test("unknown users, and users whose lookup fails, are refused alike; the failure is logged once a window", async () => {
    const broken = new Error("the database is away");
    await using t = await HostUnderTest.create({
      keys: (user) => {
        const name = "username" in user ? user.username : undefined;
        if (name === "carol") throw broken;
        return name === "bob" ? Promise.reject(broken) : undefined;
      },
    });
    const { address } = await listen(t);
    for (const username of ["alice", "carol", "bob", "bob"]) {
      await using client = await TurnClient.connect({ port: address.port, username, password: "x" });
      await assert.rejects(client.allocate(), (e) => e instanceof Refused && e.code === 401);
    }
    assert.deepEqual(t.lines, [
      { level: "error", event: "user-lookup-failed", fields: { err: broken, unreported: 0 } },
    ]);
  });

  test("a lookup that never ends is given up when the host closes, and told so", async () => {
    let given: AbortSignal | undefined;
    const t = await HostUnderTest.create({
      keys: (_user, _realm, signal) => {
        given = signal;
        return new Promise(() => {});
      },
    });
    const { address } = await listen(t);
    await using client = await TurnClient.connect({ port: address.port, ...alice, patience: 300 });
    await assert.rejects(client.allocate(), /no response/);
    await t.host.close();
    assert.equal(given?.aborted, true);
    assert.deepEqual(t.lines, []);
  });

  test("a slow lookup is given up after five seconds", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let given: AbortSignal | undefined;
    await using t = await HostUnderTest.create({
      keys: (_user, _realm, signal) => {
        given = signal;
        return new Promise(() => {});
      },
    });
    const { address } = await listen(t);
    await using client = await TurnClient.connect({ port: address.port, ...alice, patience: 60_000 });
    const refused = assert.rejects(client.allocate(), (e) => e instanceof Refused && e.code === 401);
    while (given === undefined) await new Promise((resolve) => setImmediate(resolve));
    context.mock.timers.tick(4_999);
    assert.equal(given.aborted, false);
    context.mock.timers.tick(1);
    assert.equal(given.aborted, true);
    await refused;
    context.mock.timers.reset();
  });

  test("a user is looked up once, for each algorithm too, and again after a removal; an unknown one each time", async () => {
    let asked = 0;
    let known: UserKeys | undefined;
    const keys = () => {
      asked++;
      return known;
    };
    await using t = await HostUnderTest.create({ keys });
    const { address } = await listen(t);
    const attempt = async (algorithm: "md5" | "sha256" = "md5") => {
      await using client = await TurnClient.connect({ port: address.port, ...alice, algorithm });
      await client.allocate();
    };
    const isRefused = (error: unknown) => error instanceof Refused && error.code === 401;
    await assert.rejects(attempt(), isRefused);
    await assert.rejects(attempt(), isRefused);
    assert.equal(asked, 2);
    known = aliceKeys();
    for (const algorithm of ["md5", "md5", "sha256", "sha256", "md5"] as const) await attempt(algorithm);
    assert.equal(asked, 3);
    known = undefined;
    t.host.removeUser("alice");
    await assert.rejects(attempt(), isRefused);
    assert.equal(asked, 4);
  });

  test("what is answered about a user who was removed meanwhile is not kept", async () => {
    const answers: ((keys: UserKeys | undefined) => void)[] = [];
    const keys = () => new Promise<UserKeys | undefined>((resolve) => answers.push(resolve));
    await using t = await HostUnderTest.create({ keys });
    const { address } = await listen(t);
    await using early = await TurnClient.connect({ port: address.port, ...alice });
    const isRefused = (error: unknown) => error instanceof Refused && error.code === 401;
    const refused = assert.rejects(early.allocate(), isRefused);
    await until("the first question", () => answers[0]);
    t.host.removeUser("alice");
    answers[0]?.(aliceKeys());
    await until("the question after the removal", () => answers[1]);
    answers[1]?.(undefined);
    await refused;
    await using late = await TurnClient.connect({ port: address.port, ...alice });
    const lateRefused = assert.rejects(late.allocate(), isRefused);
    await until("another question", () => answers[2]);
    answers[2]?.(undefined);
    await lateRefused;
  });

  test("removing a user, or a shared secret, ends their sessions", async () => {
    await using t = await HostUnderTest.create();
    const { address } = await listen(t);
    await using client = await TurnClient.connect({ port: address.port, ...alice });
    await client.allocate();
    t.host.setSecrets([SECRET]);
    assert.equal(t.host.stats.server.allocations, 1);
    t.host.removeUser("alice");
    assert.equal(t.host.stats.server.allocations, 0);
  });
});

describe("listeners", () => {
  test("are listed, get new numbers, and can be closed and opened again", async () => {
    await using t = await HostUnderTest.create();
    const port = await freePort();
    for (const transport of ["udp", "tcp", "tls"] as const) {
      const spec = { transport, address: at("127.0.0.1", port), ...(transport === "tls" ? { tls: identity } : {}) };
      const first = await t.host.listen(spec);
      assert.deepEqual(t.host.listeners, [first]);
      assert.equal(formatAddress(first.address), `127.0.0.1:${port}`);
      assert.equal(first.transport, transport);
      t.host.unlisten(first);
      t.host.unlisten(first);
      assert.deepEqual(t.host.listeners, []);
      const second = await t.host.listen(spec);
      assert.notEqual(second.id, first.id);
      t.host.unlisten(second);
    }
  });

  test("refuse what cannot be opened, with a code and a sentence", async () => {
    await using t = await HostUnderTest.create();
    const { host } = t;
    const busyUdp = await listen(t);
    const busyTcp = await listen(t, "tcp");
    await assert.rejects(host.listen({ transport: "udp", address: busyUdp.address }), hasCode("address-busy"));
    await assert.rejects(host.listen({ transport: "tcp", address: busyTcp.address }), hasCode("address-busy"));
    for (const transport of ["udp", "tcp"] as const) {
      await assert.rejects(host.listen({ transport, address: at("192.0.2.1") }), (error: PosternError) => {
        assert.match(error.message, new RegExp(`${transport} 192.0.2.1:0.*No interface of this host`));
        return error.code === "address-gone" && error.cause instanceof Error;
      });
      await assert.rejects(host.listen({ transport, address: at("0.0.0.0") }), hasCode("wildcard-address"));
    }
    await assert.rejects(host.listen({ transport: "tls", address: at("127.0.0.1") }), hasCode("missing-tls-identity"));
    const bad = { certificate: identity.certificate, key: new Secret("no key") };
    await assert.rejects(
      host.listen({ transport: "tls", address: at("127.0.0.1"), tls: bad }),
      hasCode("bad-tls-identity"),
    );
    assert.equal(host.listeners.length, 2);
  });

  test("an IPv4 address in IPv6 clothes is refused", { skip: requireIpv6() }, async () => {
    await using t = await HostUnderTest.create();
    for (const transport of ["udp", "tcp"] as const) {
      await assert.rejects(
        t.host.listen({ transport, address: at("::ffff:127.0.0.1") }),
        (error: PosternError) => error.code === "address-gone" && /EINVAL/.test(error.message),
      );
    }
  });

  test("opening can be given up", async () => {
    await using t = await HostUnderTest.create();
    for (const transport of ["udp", "tcp"] as const) {
      await assert.rejects(
        t.host.listen({ transport, address: at("127.0.0.1") }, AbortSignal.abort(new Error("never mind"))),
        /never mind/,
      );
      const controller = new AbortController();
      const opening = t.host.listen({ transport, address: at("127.0.0.1") }, controller.signal);
      controller.abort(new Error("never mind"));
      await assert.rejects(opening, /never mind/);
    }
    assert.deepEqual(t.host.listeners, []);
    assert.equal(t.datapath.stats.sockets, 0);
  });

  test("a UDP client whose listener is closed loses its allocation, and its peer is not answered from elsewhere", async () => {
    await using t = await HostUnderTest.create();
    const gone = await listen(t);
    await using client = await TurnClient.connect({ port: gone.address.port, ...alice });
    await client.allocate();
    t.host.unlisten(gone);
    assert.ok(t.events.some((e) => e.type === "allocation-ended" && e.reason === "address-gone"));
    assert.equal(t.datapath.stats.sockets, 0);
    // Takes over the number that the datapath gave the socket of the first.
    await listen(t);
    assert.equal(t.host.stats.server.allocations, 0);
  });
});

describe("certificates", () => {
  async function subject(port: number): Promise<string> {
    const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
    return new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("secureConnect", () => {
        resolve(String(socket.getPeerCertificate().subject?.CN));
        socket.destroy();
      });
    });
  }

  test("a new one serves new handshakes and drops nobody", async () => {
    await using t = await HostUnderTest.create();
    const { address } = await listen(t, "tls");
    await using client = await TurnClient.connect({ transport: "tls", port: address.port, ...alice });
    await client.allocate();
    assert.equal(await subject(address.port), "first.example");
    t.host.updateTls(await makeIdentity("second.example"));
    assert.equal(await subject(address.port), "second.example");
    assert.equal(await client.refresh(300), 600);
  });

  test("a bad one changes nothing", async () => {
    await using t = await HostUnderTest.create();
    const { address } = await listen(t, "tls");
    const other = await makeIdentity("second.example");
    assert.throws(
      () => t.host.updateTls({ certificate: other.certificate, key: identity.key }),
      hasCode("bad-tls-identity"),
    );
    assert.equal(await subject(address.port), "first.example");
  });
});

describe("addresses", () => {
  test("allocations on a relay address that is gone end", async () => {
    await using t = await HostUnderTest.create();
    const { address } = await listen(t);
    await using client = await TurnClient.connect({ port: address.port, ...alice });
    await client.allocate();
    const elsewhere = { bound: at("127.0.0.2"), advertised: at("127.0.0.2") };
    assert.throws(() => t.host.setAddresses([{ ...elsewhere, bound: at("::") }], []), hasCode("wildcard-address"));
    t.host.setAddresses([elsewhere], []);
    const end = t.events.find((e) => e.type === "allocation-ended");
    assert.equal(end?.reason, "address-gone");
    await using next = await TurnClient.connect({ port: address.port, ...alice });
    assert.equal(formatIp((await next.allocate()).relayed[0]!), "127.0.0.2");
  });

  test("a relay on all addresses is refused at once", () => {
    const relays = [{ bound: at("0.0.0.0"), advertised: at("198.51.100.1") }];
    assert.throws(
      () => new TurnHost({ config: { ...CONFIG, relays }, datapath: new DgramDatapath() }),
      hasCode("wildcard-address"),
    );
  });
});

describe("drain and close", () => {
  test("drain refuses newcomers and resolves when the last allocation ends", async () => {
    await using t = await HostUnderTest.create();
    const { address } = await listen(t);
    await using client = await TurnClient.connect({ port: address.port, ...alice });
    await client.allocate();
    let left: number | undefined;
    const drained = t.host.drain(60_000).then((n) => (left = n));
    await using late = await TurnClient.connect({ port: address.port, ...alice });
    await assert.rejects(late.allocate(), (e) => e instanceof Refused && e.code === 508);
    assert.equal(await client.refresh(600), 600);
    assert.equal(left, undefined);
    await client.refresh(0);
    assert.equal(await drained, 0);
    assert.equal(await t.host.drain(60_000), 0);
  });

  test("drain gives up at its deadline, with the signal, and with the host", async () => {
    await using t = await HostUnderTest.create();
    const { address } = await listen(t);
    await using client = await TurnClient.connect({ port: address.port, ...alice });
    await client.allocate();
    assert.equal(await t.host.drain(20), 1);
    const controller = new AbortController();
    const drained = t.host.drain(60_000, controller.signal);
    controller.abort(new Error("hurry"));
    await assert.rejects(drained, /hurry/);
    await assert.rejects(t.host.drain(1, AbortSignal.abort(new Error("early"))), /early/);
    const last = t.host.drain(60_000);
    await t.host.close();
    assert.equal(await last, 0);
  });

  test("close ends allocations, connections and half-done handshakes, and gives every port back", async () => {
    const t = await HostUnderTest.create();
    const udp = await listen(t);
    const tcp = await listen(t, "tcp");
    const tls = await listen(t, "tls");
    const clients = await Promise.all([
      TurnClient.connect({ port: udp.address.port, ...alice }),
      TurnClient.connect({ transport: "tcp", port: tcp.address.port, ...alice }),
      TurnClient.connect({ transport: "tls", port: tls.address.port, ...alice }),
    ]);
    for (const client of clients) await client.allocate();
    const silent = createConnection(tls.address.port, "127.0.0.1");
    silent.on("error", () => {});
    await until("the silent one to be in", () => t.host.stats.streams.open === 3);
    await t.host.close();
    await t.host.close();
    assert.equal(t.datapath.stats.sockets, 0);
    assert.equal(t.events.filter((e) => e.type === "allocation-ended" && e.reason === "shutdown").length, 3);
    await Promise.all(clients.slice(1).map((client) => client.closed));
    await until("the silent one to be out", () => silent.closed);
    for (const { address } of [tcp, tls]) {
      const again = createServer().listen(address.port, "127.0.0.1");
      await until("the port to be free", () => again.listening);
      again.close();
    }
    await assert.rejects(listen(t), hasCode("closed"));
    assert.equal(t.datapath.stats.sockets, 0);
    for (const client of clients) await client.close();
  });

  test("close while listeners are opening", async () => {
    const t = await HostUnderTest.create();
    const opening = [listen(t), listen(t, "tcp"), listen(t, "tls")];
    await t.host.close();
    for (const one of opening) await assert.rejects(one, hasCode("closed"));
    assert.equal(t.datapath.stats.sockets, 0);
  });
});

test("what happens is counted and reported; a listener of events cannot break the host", async () => {
  let thrown = 0;
  await using t = await HostUnderTest.create({
    onEvent: () => {
      thrown++;
      throw new Error("a bug of the caller's");
    },
  });
  const { address } = await listen(t);
  await using client = await TurnClient.connect({ port: address.port, ...alice });
  await client.allocate();
  assert.equal(await client.refresh(600), 600);
  assert.equal(thrown, 1);
  assert.equal(t.lines[0]?.event, "turn-server-failed");
  assert.ok(t.host.stats.datapath.packetsIn >= 3);
  assert.ok(aliceKeys());
});

/** Notes hints, and throws when told to: a datapath must not, and so a bug in one is a good test. */
class SuspectDatapath extends DgramDatapath {
  readonly hints: string[] = [];
  failing = false;

  override offload(flow: Flow, client: SocketId, relay: SocketId): void {
    assert.notEqual(client, relay);
    assert.ok(client >= 0 && relay >= 0);
    this.hints.push(`offload ${flow.toward}`);
  }

  override withdraw(flow: Flow): void {
    this.hints.push(`withdraw ${flow.toward}`);
  }

  override send(...send: Parameters<DgramDatapath["send"]>): boolean {
    if (this.failing) throw new Error("send");
    return super.send(...send);
  }

  override sendChannelData(...send: Parameters<DgramDatapath["sendChannelData"]>): boolean {
    if (this.failing) throw new Error("sendChannelData");
    return super.sendChannelData(...send);
  }
}

test("flows of UDP clients are offered to the datapath, and those of streams are not", async () => {
  const datapath = new SuspectDatapath();
  await using t = await HostUnderTest.create({ datapath });
  await using peer = await LoopbackPeer.open("127.0.0.2");
  for (const transport of ["udp", "tcp"] as const) {
    const { address } = await listen(t, transport);
    await using client = await TurnClient.connect({ transport, port: address.port, ...alice });
    await client.allocate();
    await client.bindChannel(0x4000, peer.address);
    await client.refresh(0);
  }
  assert.deepEqual(datapath.hints.toSorted(), ["offload client", "offload peer", "withdraw client", "withdraw peer"]);
});

test("a datapath that throws costs packets, and nothing else", async () => {
  const datapath = new SuspectDatapath();
  await using t = await HostUnderTest.create({ datapath });
  const { address } = await listen(t);
  await using peer = await LoopbackPeer.open("127.0.0.2");
  await using client = await TurnClient.connect({ port: address.port, ...alice });
  const { relayed } = await client.allocate();
  await client.bindChannel(0x4000, peer.address);
  datapath.failing = true;
  const { packetsIn } = datapath.stats;
  client.sendOnChannel(0x4000, Buffer.from("lost"));
  peer.send(Buffer.from("lost"), relayed[0]!);
  await until("both to be handed up", () => datapath.stats.packetsIn === packetsIn + 2);
  datapath.failing = false;
  client.sendOnChannel(0x4000, Buffer.from("found"));
  await until("what comes after", () => peer.received.length === 1);
  peer.send(Buffer.from("found"), relayed[0]!);
  assert.deepEqual(await client.receive(), { channel: 0x4000, data: Buffer.from("found") });
  assert.deepEqual(
    t.lines.map((line) => line.event),
    ["turn-server-failed"],
  );
});

test("capacity is the least of descriptors, ports and quota", async () => {
  await using t = await HostUnderTest.create({}, { relayPorts: { min: 50_000, max: 50_009 } });
  const { allocations, limitedBy } = t.host.capacity;
  assert.deepEqual({ allocations, limitedBy }, { allocations: 10, limitedBy: "ports" });
});
