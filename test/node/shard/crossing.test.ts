/** What crosses between the workers of a real server: packets from relay to relay, reservations, quotas. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { Attribute } from "../../../src/core/stun/registry.ts";
import type { StunWriter } from "../../../src/core/stun/writer.ts";
import { portShare } from "../../../src/node/shard/shares.ts";
import { requireForeign } from "../../support/peers.ts";
import { Refused, TurnClient } from "../../support/turn-client.ts";
import { CONFIG } from "../../support/turn-world.ts";
import { until } from "../../support/until.ts";
import { alice, at, LoopbackPeer } from "../host-under-test.ts";
import { cause, faults, stall } from "./faults.ts";
import { freeRelayPorts, openCount, type Session, ShardsUnderTest } from "./shards-under-test.ts";

const skip = requireForeign();
const timeout = 240_000;

const pair = (writer: StunWriter): void => void writer.bytes(Attribute.EvenPort, Uint8Array.of(0x80));
const withToken = (token: Uint8Array) => (writer: StunWriter) => void writer.bytes(Attribute.ReservationToken, token);

/** Each gets a channel to the other. */
async function meet(a: Session, b: Session): Promise<void> {
  await a.client.bindChannel(0x4001, b.relayed);
  await b.client.bindChannel(0x4002, a.relayed);
}

/** Says whether something sent by one comes to the other. */
async function reaches(a: Session, b: Session, text: string): Promise<void> {
  a.client.sendOnChannel(0x4001, Buffer.from(text));
  assert.deepEqual(await b.client.receive(), { channel: 0x4002, data: Buffer.from(text) });
}

async function streamSession(t: ShardsUnderTest): Promise<Session> {
  const { address } = await t.host.listen({ transport: "tcp", address: at("127.0.0.1") });
  const client = await TurnClient.connect({ transport: "tcp", port: address.port, ...alice });
  return { client, relayed: (await client.allocate()).relayed[0]! };
}

/** A client that the kernel gives to this shard, once it is not refused for overload any more. */
async function sessionOn(
  t: ShardsUnderTest,
  shard: number,
  fill: (writer: StunWriter) => void = () => {},
): Promise<Session & { readonly token: Uint8Array | undefined }> {
  const { min, max } = portShare(t.relayPorts, shard, t.shards + 1);
  return until("an allocation", async () => {
    const client = await t.connect();
    const allocated = await client.allocate({ fill }).catch(() => undefined);
    const relayed = allocated?.relayed[0];
    if (relayed !== undefined && relayed.port >= min && relayed.port <= max) {
      return { client, relayed, token: allocated?.reservationToken };
    }
    if (relayed !== undefined) await client.refresh(0);
    await client[Symbol.asyncDispose]();
    return undefined;
  });
}

async function end(sessions: readonly Session[]): Promise<void> {
  for (const { client } of sessions) await client[Symbol.asyncDispose]();
}

describe("between shards", { skip, timeout }, () => {
  test("clients of two shards and of the stream worker meet, and no socket of a relay sees it", async () => {
    await using t = await ShardsUnderTest.create();
    const sessions = [...(await t.sessionOnEach()), await streamSession(t)];
    for (const [i, a] of sessions.entries()) {
      for (const b of sessions.slice(i + 1)) {
        await a.client.bindChannel(0x4100 + (b.relayed.port % 100), b.relayed);
        await b.client.bindChannel(0x4100 + (a.relayed.port % 100), a.relayed);
        const way = [
          [a, b],
          [b, a],
        ] as const;
        for (const [from, to] of way) {
          for (const length of [0, 1, 300, 1_200, 9_000]) {
            const data = Buffer.alloc(length, length & 255);
            from.client.sendOnChannel(0x4100 + (to.relayed.port % 100), data);
            const received = await to.client.receive();
            assert.equal(received.channel, 0x4100 + (from.relayed.port % 100));
            assert.ok(Buffer.from(received.data).equals(data), `${length} bytes`);
          }
        }
      }
    }
    await t.host.refresh();
    const { handedOver, datapath } = t.host.stats;
    assert.equal(handedOver?.full, 0);
    assert.equal(handedOver?.packetsIn, handedOver?.packetsOut);
    assert.ok((handedOver?.packetsIn ?? 0) > 24);
    assert.equal(datapath.drops.closed, 0);
    await end(sessions);
  });

  test("RFC 8656 §9: a client of another shard is heard with a permission alone", async () => {
    await using t = await ShardsUnderTest.create();
    const [a, b] = (await t.sessionOnEach()) as [Session, Session];
    await a.client.bindChannel(0x4001, b.relayed);
    a.client.sendOnChannel(0x4001, Buffer.from("too early"));
    await until("the drop", async () => {
      await t.host.refresh();
      return t.host.stats.server.drops["no-permission"] === 1;
    });
    await b.client.permit(a.relayed);
    a.client.sendOnChannel(0x4001, Buffer.from("now"));
    const { data, peer } = await b.client.receive();
    assert.equal(Buffer.from(data).toString(), "now");
    assert.equal(formatAddress(peer!), formatAddress(a.relayed));
    await end([a, b]);
  });

  test("RFC 8656 §7.2: a reservation is claimed from another shard and from a stream, and its packets wait", async () => {
    await using t = await ShardsUnderTest.create();
    const [first, second] = (await t.sessionOnEach()) as [Session, Session];
    await end([first, second]);
    await using peer = await LoopbackPeer.open();
    const { address } = await t.host.listen({ transport: "tcp", address: at("127.0.0.1") });
    const crossings = new Set<string>();
    for (let tries = 0; tries < 40 && crossings.size < 3; tries++) {
      await using owner = await t.connect();
      const { relayed, reservationToken } = await owner.allocate({ fill: pair });
      const stream = tries % 2 === 0;
      await using bearer = stream
        ? await TurnClient.connect({ transport: "tcp", port: address.port, ...alice })
        : await t.connect();
      const claimed = await bearer.allocate({ fill: withToken(reservationToken!) });
      assert.equal(claimed.relayed[0]?.port, relayed[0]!.port + 1);
      await bearer.bindChannel(0x4001, peer.address);
      const before = peer.received.length;
      bearer.sendOnChannel(0x4001, Buffer.from("from the pair"));
      await until("the payload", () => peer.received.length > before);
      assert.equal(peer.received.at(-1)?.from, formatAddress(claimed.relayed[0]!));
      peer.send(Buffer.from("back"), claimed.relayed[0]!);
      assert.deepEqual(await bearer.receive(), { channel: 0x4001, data: Buffer.from("back") });
      await t.host.refresh();
      crossings.add(`${stream}`);
      if (stream) crossings.add("a stream");
    }
  });

  test("a socket that was handed over lives on when the shard that gave it ends", async () => {
    await using t = await ShardsUnderTest.create({ workers: { execArgv: faults } });
    await using peer = await LoopbackPeer.open();
    const { address } = await t.host.listen({ transport: "tcp", address: at("127.0.0.1") });
    const owner = await sessionOn(t, 0, pair);
    await using bearer = await TurnClient.connect({ transport: "tcp", port: address.port, ...alice });
    const { relayed } = await bearer.allocate({ fill: withToken(owner.token!) });
    await bearer.bindChannel(0x4001, peer.address);
    cause(0, "error");
    await until("the end of the shard", () => t.logged("shard-ended").length === 1);
    await until("the shard", () => t.host.shards[0]?.isUp);
    bearer.sendOnChannel(0x4001, Buffer.from("still there"));
    await until("the payload", () => peer.received.length === 1);
    assert.equal(peer.received[0]?.from, formatAddress(relayed[0]!));
    await end([owner]);
  });

  test("nothing is left open of sockets that changed hands", async () => {
    const relayPorts = await freeRelayPorts();
    await (await ShardsUnderTest.create({}, { relayPorts }))[Symbol.asyncDispose]();
    const before = openCount();
    {
      await using t = await ShardsUnderTest.create({}, { relayPorts });
      for (let i = 0; i < 8; i++) {
        await using owner = await t.connect();
        await using bearer = await t.connect();
        const { reservationToken } = await owner.allocate({ fill: pair });
        await bearer.allocate({ fill: withToken(reservationToken!) });
      }
    }
    await until("descriptors to be closed", () => openCount() <= before);
  });

  test("RFC 8656 §7.2 (10): a user's quota is that of all shards together", async () => {
    const quotas = { ...CONFIG.quotas, allocationsPerUser: 5 };
    await using t = await ShardsUnderTest.create({}, { quotas });
    const clients = await Promise.all(Array.from({ length: 24 }, () => t.connect()));
    const outcomes = await Promise.allSettled(clients.map((client) => client.allocate()));
    const made = outcomes.filter(({ status }) => status === "fulfilled").length;
    const refused = outcomes.filter(
      (one) => one.status === "rejected" && one.reason instanceof Refused && one.reason.code === 486,
    );
    assert.ok(made >= 1 && made <= 5, `${made} of 5`);
    assert.equal(refused.length, 24 - made);
    for (const client of clients) await client.refresh(0).catch(() => {});
    await using again = await t.connect();
    await again.allocate();
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  test("a shard that dies loses its own alone: its quota, its ports and its way are free for the next", async () => {
    const most = 24;
    const quotas = { ...CONFIG.quotas, allocationsPerUser: most };
    await using t = await ShardsUnderTest.create({ workers: { execArgv: faults } }, { quotas });
    const [a, b] = (await t.sessionOnEach()) as [Session, Session];
    await meet(a, b);
    await reaches(a, b, "before");
    cause(1, "error");
    await until("the end of the shard", () => t.logged("shard-ended").length === 1);
    // What goes to the dead is dropped, by who sends it.
    a.client.sendOnChannel(0x4001, Buffer.from("to nobody"));
    assert.ok((await a.client.refresh(600)) > 0);
    await until("the shard", () => t.host.shards[1]?.isUp);
    const alive = t.host.stats.server.allocations;
    const clients = await Promise.all(Array.from({ length: most }, () => t.connect()));
    const made: Session[] = [];
    for (const client of clients) {
      const allocated = await client.allocate().catch((error: unknown) => assert.equal((error as Refused).code, 486));
      if (allocated) made.push({ client, relayed: allocated.relayed[0]! });
    }
    assert.equal(made.length, most - alive);
    const own = portShare(t.relayPorts, 1, 3);
    const fresh = made.find(({ relayed: { port } }) => port >= own.min && port <= own.max);
    assert.ok(fresh, "the shard serves again");
    await a.client.bindChannel(0x4003, fresh.relayed);
    await fresh.client.bindChannel(0x4002, a.relayed);
    a.client.sendOnChannel(0x4003, Buffer.from("after"));
    assert.deepEqual(await fresh.client.receive(), { channel: 0x4002, data: Buffer.from("after") });
    for (const client of [a.client, b.client, ...clients]) await client[Symbol.asyncDispose]();
  });

  test("a shard that ends while its ring is full: drops are counted, the others go on, and it is reached again", async () => {
    // It stands still for as long as a busy machine takes.
    await using t = await ShardsUnderTest.create({ workers: { execArgv: faults, longestTurnMs: timeout } });
    const [a, b] = (await t.sessionOnEach()) as [Session, Session];
    const c = await streamSession(t);
    await meet(a, b);
    await reaches(a, b, "before");
    await a.client.bindChannel(0x4005, c.relayed);
    await c.client.bindChannel(0x4006, a.relayed);
    const letGo = stall(1);
    // Twice what a ring holds, no faster than sockets take it.
    for (let i = 0; i < 1_000; i++) {
      a.client.sendOnChannel(0x4001, Buffer.alloc(1_200, i));
      if (i % 20 > 0) continue;
      a.client.sendOnChannel(0x4005, Buffer.from(`${i}`));
      assert.equal(Buffer.from((await c.client.receive()).data).toString(), `${i}`);
    }
    assert.equal(t.logged("shard-ended").length, 0, "it is there yet, and reads nothing");
    letGo();
    await until("the end of the shard", () => t.logged("shard-ended").length === 1);
    await until("the shard", () => t.host.shards[1]?.isUp);
    // A busy worker may not answer in time.
    await until("the drops to be told", async () => {
      await t.host.refresh();
      return (t.host.stats.handedOver?.full ?? 0) > 100;
    });
    assert.ok((await a.client.refresh(600)) > 0 && (await c.client.refresh(600)) > 0);
    const fresh = await sessionOn(t, 1);
    await a.client.bindChannel(0x4003, fresh.relayed);
    await fresh.client.bindChannel(0x4002, a.relayed);
    a.client.sendOnChannel(0x4003, Buffer.from("after"));
    assert.deepEqual(await fresh.client.receive(), { channel: 0x4002, data: Buffer.from("after") });
    await end([a, b, c, fresh]);
  });
});
