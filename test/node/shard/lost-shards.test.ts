/** What becomes of the others when one worker ends, by whatever way, and of those who were with it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { formatIp } from "../../../src/core/base/address.ts";
import type { PosternError } from "../../../src/core/base/failure.ts";
import type { UserKeys } from "../../../src/core/turn/server/outputs.ts";
import { type Log, silentLog } from "../../../src/node/log.ts";
import type { TurnShards } from "../../../src/node/shard/turn-shards.ts";
import { availableForeign } from "../../../src/node/sys/libc.ts";
import type { BoundListener, FindKeys } from "../../../src/node/turn-service.ts";
import { requireForeign } from "../../support/peers.ts";
import { Refused, TurnClient } from "../../support/turn-client.ts";
import { soon, until } from "../../support/until.ts";
import { makeIdentity } from "../certificate.ts";
import { alice, aliceKeys, at, type LogLine, LoopbackPeer } from "../host-under-test.ts";
import { block, cause, type Fault, faults } from "./faults.ts";
import { openCount, type Session, ShardsUnderTest } from "./shards-under-test.ts";

const skip = requireForeign();
const RLIMIT_NOFILE = 7;
const workers = { heapMegabytes: 48, execArgv: faults };

/** Sends numbered packets through a session, a few at a time, and hears of each that comes out. */
async function pour({ client }: Session, peer: LoopbackPeer, isOver: () => boolean): Promise<number> {
  await client.bindChannel(0x4000, peer.address);
  let sent = 0;
  while (!isOver()) {
    client.sendOnChannel(0x4000, Buffer.from(`${sent++}`));
    // As many as no queue is too short for.
    if (sent % 64 === 0) await until("what was sent", () => peer.received.length === sent);
    else await turn();
  }
  return sent;
}

/** Until it is disposed of, this process can open nothing. */
function withoutDescriptors(): Disposable {
  const limits = new BigUint64Array(2);
  const { load, address } = availableForeign();
  const at = Number(address(new Uint8Array(limits.buffer)));
  const [read, write] = ["getrlimit", "setrlimit"].map((name) => load(null).func(name, "int", ["int", "uintptr_t"]));
  read?.(RLIMIT_NOFILE, at);
  const [most] = limits;
  limits[0] = 1n;
  write?.(RLIMIT_NOFILE, at);
  return {
    [Symbol.dispose]() {
      limits[0] = most as bigint;
      write?.(RLIMIT_NOFILE, at);
    },
  };
}

describe("one of two workers ends under load", { skip }, () => {
  for (const [fault, code] of [
    ["error", undefined],
    ["heap", "ERR_WORKER_OUT_OF_MEMORY"],
    ["hang", "shard-hung"],
    ["sleep", "shard-hung"],
  ] as const) {
    test(`by ${fault}: the other loses no packet, it is said what was lost, and it serves again`, {
      timeout: 120_000,
    }, async () => {
      await using t = await ShardsUnderTest.create({ workers: { ...workers, longestTurnMs: 3_000 } });
      const [dying, other] = (await t.sessionOnEach()) as [Session, Session];
      await using lost = await LoopbackPeer.open();
      await using peer = await LoopbackPeer.open();
      const isBack = () => t.logged("shard-ended").length === 1 && t.host.shards.every(({ isUp }) => isUp);
      // To the one that ends, whatever becomes of it.
      await dying.client.bindChannel(0x4000, lost.address);
      let isOver = false;
      const load = (async () => {
        while (!isOver) {
          for (let i = 0; i < 32; i++) dying.client.sendOnChannel(0x4000, Buffer.alloc(172));
          await turn();
        }
      })();
      const poured = pour(other, peer, () => isOver);
      await until("some of it", () => peer.received.length > 200 && lost.received.length > 200);
      const live = t.host.stats.server.allocations;
      cause(0, fault);
      await until("a new worker", isBack, { within: 60_000 });
      const before = peer.received.length;
      await until("some more", () => peer.received.length > before + 200);
      isOver = true;
      const [sent] = await Promise.all([poured, load]);
      await until("the last", () => peer.received.length === sent);
      assert.deepEqual(
        peer.received.map(({ data }) => data.toString()),
        Array.from({ length: sent }, (_, i) => `${i}`),
      );
      const { fields } = t.logged("shard-ended")[0] as LogLine;
      assert.equal(fields["shard"], "udp 0");
      assert.equal((fields["err"] as NodeJS.ErrnoException).code, code);
      assert.equal(fields["lost"], live - t.host.stats.server.allocations);
      assert.equal(t.host.shards[0]?.lost, fields["lost"]);
      assert.ok((fields["lost"] as number) >= 1);
      // The same 5-tuple, and the same steering.
      await until("an allocation with the new worker", () => dying.client.allocate().catch(() => undefined));
    });
  }

  test("again and again: nothing of it stays open", { timeout: 120_000 }, async () => {
    await using t = await ShardsUnderTest.create({ workers });
    await t.sessionOnEach();
    const ports = () => t.host.shards.map(({ failures }) => failures);
    cause(0, "error");
    await until("the first end", () => ports()[0] === 1 && t.host.shards[0]?.isUp, { within: 60_000 });
    await until("a session", () => t.sessionOnEach());
    const before = openCount();
    for (let times = 2; times <= 4; times++) {
      cause(0, "error");
      await until("another end", () => ports()[0] === times && t.host.shards[0]?.isUp, { within: 60_000 });
    }
    // The session that it had is gone, relay and all.
    await until("all that it had to be closed", () => openCount() <= before);
    assert.deepEqual(ports(), [4, 0, 0]);
  });

  test("the next worker is told what has changed meanwhile: addresses, the certificate, a drain", {
    timeout: 240_000,
  }, async () => {
    await using t = await ShardsUnderTest.create({ workers });
    const [first, second] = [await makeIdentity("first.example"), await makeIdentity("second.example")];
    const tls = await t.host.listen({ transport: "tls", address: at("127.0.0.1"), tls: first });
    const isUp = () => t.host.shards.every((shard) => shard.isUp);
    await until("all to serve", isUp, { within: 60_000 });
    const other = at("127.0.0.2");
    t.host.setAddresses([{ bound: other, advertised: other }], []);
    t.host.updateTls(second);
    cause(0, "error");
    cause(2, "error");
    await until("two ends", () => t.logged("shard-ended").length === 2 && isUp(), { within: 60_000 });
    for (const { relayed } of await t.sessionOnEach()) assert.equal(formatIp(relayed), "127.0.0.2");
    await using secure = await until("the TLS port to be open again", () =>
      TurnClient.connect({
        transport: "tls",
        port: tls.address.port,
        ...alice,
        tls: { ca: [second.certificate as string], checkServerIdentity: () => undefined, rejectUnauthorized: true },
      }).catch(() => undefined),
    );
    await secure.allocate();
    await t.host.drain(0);
    cause(0, "error");
    await until("another end", () => t.logged("shard-ended").length === 3 && isUp(), { within: 60_000 });
    for (let i = 0; i < 8; i++) {
      const late = await t.connect();
      await assert.rejects(late.allocate(), (error) => error instanceof Refused && error.code === 508);
    }
  });

  test("a listener that is opened while there is no worker is served by the others, and by the next one", {
    timeout: 120_000,
  }, async () => {
    let listening: Promise<BoundListener> | undefined;
    let host: TurnShards | undefined;
    const log: Log = {
      ...silentLog,
      // It has ended, and the next one is not there yet.
      error: () => (listening ??= host?.listen({ transport: "udp", address: at("127.0.0.1") })),
    };
    await using t = await ShardsUnderTest.create({ workers, log });
    host = t.host;
    cause(0, "error");
    t.port = (await until("the listener", () => listening)).address.port;
    await until("the next worker", () => t.host.shards.every(({ isUp }) => isUp), { within: 60_000 });
    assert.equal((await t.sessionOnEach()).filter((session) => session !== undefined).length, 2);
  });

  test("TCP ports that somebody else takes while there is no worker are had again when they are free, where still wanted", {
    timeout: 120_000,
  }, async () => {
    const taken: { port: number; thief: Server }[] = [];
    using thieves = new DisposableStack();
    thieves.defer(() => {
      for (const { thief } of taken) thief.close();
    });
    const onLost = (): void => {
      for (const { port, thief } of taken) thief.listen(port, "127.0.0.1");
    };
    await using t = await ShardsUnderTest.create({ workers }, {}, "127.0.0.1", onLost);
    const open = () => t.host.listen({ transport: "tcp", address: at("127.0.0.1") });
    const connect = (port: number) => TurnClient.connect({ transport: "tcp", port, ...alice });
    const [free, wanted, unwanted] = [await open(), await open(), await open()];
    for (const { address } of [unwanted, wanted]) taken.push({ port: address.port, thief: createServer() });
    cause(t.shards, "error");
    await until("the loss of two", () => t.logged("listener-lost").length === 2, { within: 60_000 });
    for (const { level, fields } of t.logged("listener-lost")) {
      assert.deepEqual([level, fields["shard"]], ["warn", "streams"]);
      assert.equal((fields["err"] as PosternError).code, "address-busy");
    }
    await using beside = await until("the other port", () => connect(free.address.port).catch(() => undefined));
    await beside.allocate();
    const lost = () => t.host.shards.map(({ lostListeners }) => lostListeners);
    assert.deepEqual(lost(), [0, 0, 2]);
    t.host.unlisten(unwanted);
    assert.deepEqual(lost(), [0, 0, 1]);
    {
      using _room = withoutDescriptors();
      await until("another cause", () => t.logged("listener-lost").length === 3);
    }
    assert.equal(
      ((t.logged("listener-lost")[2] as LogLine).fields["err"] as PosternError).code,
      "descriptors-exhausted",
    );
    for (const { thief } of taken.splice(0)) await once(thief.close(), "close");
    const back = () => t.logged("listener-back").map(({ fields }) => fields["listener"]);
    await until("the port to be open again", () => back().length > 0, { within: 60_000 });
    assert.deepEqual(lost(), [0, 0, 0]);
    await using client = await connect(wanted.address.port);
    await client.allocate();
    // Its turn was before.
    assert.deepEqual(back(), [`tcp 127.0.0.1:${wanted.address.port}`]);
    await t.host.listen({ transport: "tcp", address: unwanted.address });
    const again = t.logged("listener-lost").slice(3);
    assert.ok(again.length <= 1, "it is said once of each cause");
  });

  test("what its predecessor asked is not answered to the next worker, whose questions have the same numbers", {
    timeout: 120_000,
  }, async () => {
    const asked: { name: string; answer: (keys: UserKeys) => void }[] = [];
    const keys: FindKeys = (user) => {
      const { promise, resolve } = Promise.withResolvers<UserKeys>();
      asked.push({ name: "username" in user ? user.username : "", answer: resolve });
      return promise;
    };
    await using t = await ShardsUnderTest.create({ workers, keys });
    const { address } = await t.host.listen({ transport: "tcp", address: at("127.0.0.1") });
    const connect = (user: { username: string; password: string }) =>
      TurnClient.connect({ transport: "tcp", port: address.port, ...user });
    const isUp = () => t.host.shards.every((shard) => shard.isUp);
    await using mallory = await connect({ username: "mallory", password: "hers" });
    const given = mallory.allocate().catch(() => undefined);
    await until("the first question", () => asked.length === 1);
    cause(t.shards, "error");
    await until("a new worker", () => t.logged("shard-ended").length === 1 && isUp(), { within: 60_000 });
    await mallory[Symbol.asyncDispose]();
    await using client = await until("the port to be open again", () => connect(alice).catch(() => undefined));
    const allocated = client.allocate();
    await until("the next worker's question", () => asked.length === 2);
    asked[0]?.answer({ ...aliceKeys(), md5: new Uint8Array(16), sha256: new Uint8Array(32) });
    // Messages to a worker come in the order in which they are sent.
    await t.host.refresh();
    asked[1]?.answer(aliceKeys());
    await allocated;
    await given;
    assert.deepEqual(
      asked.map(({ name }) => name),
      ["mallory", alice.username],
    );
  });

  test("one that hangs is ended with the others", { timeout: 60_000 }, async () => {
    const t = await ShardsUnderTest.create({ workers });
    const before = openCount();
    cause(1, "hang" satisfies Fault);
    await t[Symbol.asyncDispose]();
    assert.ok(openCount() < before);
    assert.deepEqual(t.logged("shard-ended"), []);
  });

  test("one inside a system call is said to hang, then to be stuck, and is started again when it comes back", {
    timeout: 60_000,
  }, async () => {
    await using t = await ShardsUnderTest.create({ workers: { ...workers, longestTurnMs: 2_000, longestEndMs: 200 } });
    await until("all to serve", () => t.host.shards.every(({ isUp }) => isUp));
    {
      using _held = block(1);
      await until("what to do", () => t.logged("shard-stuck").length === 1);
      const said = t.lines.flatMap(({ level, event, fields }) =>
        event.startsWith("shard-") ? [[level, event, fields["shard"], (fields["err"] as PosternError).code]] : [],
      );
      assert.deepEqual(said, [
        ["warn", "shard-hung", "udp 1", "shard-hung"],
        ["error", "shard-stuck", "udp 1", "shard-stuck"],
      ]);
      assert.deepEqual(
        t.host.shards.map(({ isUp, isStuck }) => [isUp, isStuck]),
        [
          [true, false],
          [false, true],
          [true, false],
        ],
      );
    }
    await until("its end", () => t.logged("shard-ended").length === 1);
    await until("the next one", () => t.host.shards.every(({ isUp, isStuck }) => isUp && !isStuck));
    assert.equal(t.logged("shard-hung").length, 1);
  });

  test("the end of all does not wait for one inside a system call", { timeout: 60_000 }, async () => {
    const t = await ShardsUnderTest.create({ workers: { ...workers, longestEndMs: 200 } });
    await until("all to serve", () => t.host.shards.every(({ isUp }) => isUp));
    using held = block(1);
    await until("the call", () => held.isThere);
    await soon("the end", t[Symbol.asyncDispose]());
    assert.deepEqual(
      t.host.shards.map(({ isStuck }) => isStuck),
      [false, true, false],
    );
  });
});
