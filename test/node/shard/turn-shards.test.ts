/** A TURN server of several workers, on loopback, with real clients. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { PosternError } from "../../../src/core/base/failure.ts";
import type { UserKeys } from "../../../src/core/turn/server/outputs.ts";
import { openDescriptorLimit } from "../../../src/node/descriptors.ts";
import { Secret } from "../../../src/node/secret.ts";
import { portShare } from "../../../src/node/shard/shares.ts";
import type { FindKeys } from "../../../src/node/turn-service.ts";
import { askBinding } from "../../support/binding.ts";
import { requireForeign, requireIpv6 } from "../../support/peers.ts";
import { Refused, TurnClient } from "../../support/turn-client.ts";
import { until } from "../../support/until.ts";
import { makeIdentity } from "../certificate.ts";
import { alice, aliceKeys, at, LoopbackPeer } from "../host-under-test.ts";
import { freeRelayPorts, openCount, ShardsUnderTest } from "./shards-under-test.ts";

const skip = requireForeign();

function hasCode(code: string) {
  return (error: unknown): boolean => error instanceof PosternError && error.code === code;
}

describe("a server of two shards", { skip }, () => {
  for (const [transport, ip] of [
    ["udp", "127.0.0.1"],
    ["udp", "::1"],
    ["tcp", "127.0.0.1"],
    ["tls", "::1"],
  ] as const) {
    test(`relays for clients on ${transport} at ${ip}`, { skip: ip === "::1" && requireIpv6() }, async () => {
      await using t = await ShardsUnderTest.create();
      const tls = transport === "tls" ? { tls: await makeIdentity("first.example") } : {};
      const { address } = await t.host.listen({ transport, address: at(ip), ...tls });
      await using peer = await LoopbackPeer.open();
      for (let i = 0; i < 4; i++) {
        await using client = await TurnClient.connect({ transport, host: ip, port: address.port, ...alice });
        const { relayed } = await client.allocate();
        await client.bindChannel(0x4001, peer.address);
        client.sendOnChannel(0x4001, Buffer.from("out"));
        await until("the payload", () => peer.received.length === i + 1);
        assert.equal(peer.received[i]?.from, formatAddress(relayed[0]!));
        peer.send(Buffer.from("back"), relayed[0]!);
        assert.deepEqual(await client.receive(), { channel: 0x4001, data: Buffer.from("back") });
      }
      const ids = t.events.flatMap((event) => (event.type === "allocation-created" ? event.allocation.id : []));
      assert.deepEqual(ids, [1, 2, 3, 4]);
      await t.host.refresh();
      assert.equal(t.host.stats.server.packetsToPeers, 4);
      assert.equal(t.host.stats.server.packetsToClients, 4);
    });
  }

  test("both have clients, and what they count is added up", async () => {
    await using t = await ShardsUnderTest.create();
    const sessions = await t.sessionOnEach();
    assert.ok(sessions.every((session) => session !== undefined));
    await until("the events", () => t.host.stats.server.allocations >= 2);
    const before = t.host.stats.server.allocationsTotal;
    assert.equal(before, 0, "nobody has asked yet");
    await t.host.refresh();
    assert.equal(
      t.host.stats.server.allocationsTotal,
      t.events.filter(({ type }) => type === "allocation-created").length,
    );
    assert.deepEqual(
      t.host.shards.map(({ name, isUp, failures }) => ({ name, isUp, failures })),
      ["udp 0", "udp 1", "streams"].map((name) => ({ name, isUp: true, failures: 0 })),
    );
  });

  test("a user who is removed loses the sessions on each, and secrets and addresses reach each", async () => {
    await using t = await ShardsUnderTest.create();
    await t.sessionOnEach();
    t.host.removeUser(alice.username);
    await until("the end of all", () => t.host.stats.server.allocations === 0);
    await t.sessionOnEach();
    assert.ok(t.host.stats.server.allocations >= 2);
    const other = at("127.0.0.2");
    t.host.setAddresses([{ bound: other, advertised: other }], []);
    await until("the end of all that were at the first address", () => t.host.stats.server.allocations === 0);
    for (const { relayed } of await t.sessionOnEach())
      assert.equal(formatAddress({ ...relayed, port: 1 }), "127.0.0.2:1");
  });

  test("a user is looked up once by each shard, and again after a removal", async () => {
    let asked = 0;
    let isThere = true;
    const keys = () => {
      asked++;
      return isThere ? aliceKeys() : undefined;
    };
    await using t = await ShardsUnderTest.create({ keys });
    for (let i = 0; i < 8; i++) await (await t.connect()).allocate();
    assert.ok(asked <= 2, `${asked} times`);
    isThere = false;
    t.host.removeUser(alice.username);
    for (let i = 0; i < 8; i++) {
      const late = await t.connect();
      await assert.rejects(late.allocate(), (error) => error instanceof Refused && error.code === 401);
    }
  });

  test("who is removed while asked about is not let in by that answer, later either", async () => {
    let answer: ((keys: UserKeys) => void) | undefined;
    let asked = 0;
    const keys: FindKeys = () => {
      if (asked++ > 0) return undefined;
      const { promise, resolve } = Promise.withResolvers<UserKeys>();
      answer = resolve;
      return promise;
    };
    await using t = await ShardsUnderTest.create({ keys });
    const { address } = await t.host.listen({ transport: "tcp", address: at("127.0.0.1") });
    const isRefused = (error: unknown) => error instanceof Refused && error.code === 401;
    for (let i = 0; i < 3; i++) {
      await using client = await TurnClient.connect({ transport: "tcp", port: address.port, ...alice });
      const refused = assert.rejects(client.allocate(), isRefused);
      if (i === 0) {
        await until("the question", () => answer);
        t.host.removeUser(alice.username);
        answer?.(aliceKeys());
      }
      await refused;
    }
  });

  test("RFC 8489 §9.2.4: a nonce is good on every shard", async () => {
    await using t = await ShardsUnderTest.create();
    const client = await t.connect();
    await client.allocate();
    await t.host.refresh();
    assert.equal(t.host.stats.server.errors[438], 0);
  });

  test("a drain refuses new sessions on each, and ends with the last", async () => {
    await using t = await ShardsUnderTest.create();
    await t.sessionOnEach();
    const drained = t.host.drain(60_000);
    for (let i = 0; i < 6; i++) {
      const late = await t.connect();
      await assert.rejects(late.allocate(), (error) => error instanceof Refused && error.code === 508);
    }
    t.host.removeUser(alice.username);
    assert.equal(await drained, 0);
  });

  test("a certificate that is wrong is refused here, and a new one is shown to the next client", async () => {
    await using t = await ShardsUnderTest.create();
    const [first, second] = [await makeIdentity("first.example"), await makeIdentity("second.example")];
    await assert.rejects(
      t.host.listen({ transport: "tls", address: at("127.0.0.1") }),
      hasCode("missing-tls-identity"),
    );
    const { address } = await t.host.listen({ transport: "tls", address: at("127.0.0.1"), tls: first });
    const bad = { certificate: first.certificate, key: new Secret("no key") };
    assert.throws(() => t.host.updateTls(bad), hasCode("bad-tls-identity"));
    t.host.updateTls(second);
    await using client = await TurnClient.connect({
      transport: "tls",
      port: address.port,
      ...alice,
      tls: { ca: [second.certificate as string], checkServerIdentity: () => undefined, rejectUnauthorized: true },
    });
    await client.allocate();
  });

  test("a port that somebody has is busy, and one that is closed is free again", async () => {
    await using t = await ShardsUnderTest.create();
    const address = at("127.0.0.1", t.port);
    await assert.rejects(t.host.listen({ transport: "udp", address }), hasCode("address-busy"));
    await assert.rejects(t.host.listen({ transport: "udp", address: at("192.0.2.1") }), hasCode("address-gone"));
    await assert.rejects(t.host.listen({ transport: "udp", address: at("0.0.0.0") }), hasCode("wildcard-address"));
    const [listener] = t.host.listeners;
    t.host.unlisten(listener!);
    await until("the port to be free", () =>
      t.host.listen({ transport: "udp", address }).then(
        () => true,
        () => false,
      ),
    );
    assert.equal((await askBinding(t.port)).split(":")[0], "127.0.0.1");
  });

  test("what a source may ask counts over all of them, and one socket alone can ask all of it", async () => {
    const rate = 20;
    const budgets = { unauthenticatedPerSecond: rate, requestsPerSecond: rate };
    await using t = await ShardsUnderTest.create({}, { budgets });
    const begun = performance.now();
    const request = Buffer.from("000100002112a442000000000000000000000001", "hex");
    let answers = 0;
    await using sockets = new AsyncDisposableStack();
    const bound = async () => {
      const socket = createSocket("udp4").on("message", () => answers++);
      sockets.defer(async () => void socket.close());
      socket.bind(0, "127.0.0.1");
      await once(socket, "listening");
      return socket;
    };
    const asked = async (times: number) => {
      await t.host.refresh();
      const { bindings, drops } = t.host.stats.server;
      return bindings + drops["over-budget"] === times;
    };
    const first = await bound();
    for (let i = 0; i < 100; i++) first.send(request, t.port, "127.0.0.1");
    await until("all to be looked at", () => asked(100));
    assert.ok(t.host.stats.server.bindings >= 2 * rate);
    // The others come to both.
    for (let i = 0; i < 20; i++) {
      const socket = await bound();
      for (let n = 0; n < 10; n++) socket.send(request, t.port, "127.0.0.1");
    }
    await until("all to be looked at", () => asked(300));
    const most = 2 * rate + (rate * (performance.now() - begun)) / 1_000;
    assert.ok(t.host.stats.server.bindings <= most, `${t.host.stats.server.bindings} of ${most}`);
    await until("the answers", () => answers === t.host.stats.server.bindings);
  });

  test("without TCP and TLS there is no worker for them, and its ports are the others'", async () => {
    await using t = await ShardsUnderTest.create({ servesStreams: false });
    assert.deepEqual(
      t.host.shards.map(({ name }) => name),
      ["udp 0", "udp 1"],
    );
    await assert.rejects(t.host.listen({ transport: "tcp", address: at("127.0.0.1") }), hasCode("no-stream-worker"));
    const tls = await makeIdentity("first.example");
    await assert.rejects(
      t.host.listen({ transport: "tls", address: at("127.0.0.1"), tls }),
      hasCode("no-stream-worker"),
    );
    t.host.updateTls(tls);
    const { min, max } = t.relayPorts;
    assert.deepEqual(t.host.capacity.allocations, max - min + 1);
    const clients = await Promise.all(Array.from({ length: 200 }, () => t.connect()));
    const ports = new Set<number>();
    for (const client of clients) {
      const allocated = await client.allocate().catch((error: Refused) => assert.equal(error.code, 508));
      if (allocated) ports.add(allocated.relayed[0]!.port);
    }
    assert.equal(ports.size, max - min + 1);
  });

  test("there is room for what clients on UDP can have", async () => {
    await using t = await ShardsUnderTest.create();
    const { min, max } = t.relayPorts;
    const [all, limit] = [max - min + 1, openDescriptorLimit()];
    assert.deepEqual(t.host.capacity, {
      allocations: portShare(t.relayPorts, 2, 3).min - min,
      limitedBy: "ports",
      descriptors: limit,
    });
    assert.ok(t.host.capacity.allocations < all);
  });

  test("nothing is left open after the end", async () => {
    // What the test keeps open is there before, and what the first worker of a process opens.
    const relayPorts = await freeRelayPorts();
    await (await ShardsUnderTest.create({}, { relayPorts }))[Symbol.asyncDispose]();
    const before = openCount();
    {
      await using t = await ShardsUnderTest.create({}, { relayPorts });
      await t.sessionOnEach();
      await t.host.listen({ transport: "tcp", address: at("127.0.0.1") });
      assert.ok(openCount() > before + 20);
    }
    await until("all to be closed", () => openCount() <= before);
  });
});
