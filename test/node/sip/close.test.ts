import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { until } from "../../support/until.ts";
import { makeIdentity } from "../certificate.ts";
import { options, received, SocketsUnderTest } from "./sockets-under-test.ts";

const identity = await makeIdentity("one.example");

test("sends what waits, ends every connection, and leaves nothing open", async () => {
  const t = new SocketsUnderTest();
  const [udp, tcp, tls] = [await t.listen("udp"), await t.listen("tcp"), await t.listen("tls", "127.0.0.1", identity)];
  assert.ok(udp.port > 0);
  const phones = [t.connect(tcp), t.connectTls(tls)];
  for (const phone of phones) phone.write(options("1"));
  await t.message(2);
  const half = t.connect(tls);
  await once(half, "connect");
  await until("all three", () => t.stats.connections.open === 3);
  const texts = phones.map(received);
  const big = options("2", "x".repeat(60_000));
  for (const { flow } of t.arrived) t.sockets.send(flow, big);
  let failed = 0;
  t.sockets.send({ transport: "tls", address: tcp }, options("3"), () => failed++);
  await t.sockets.close();
  await until("what was sent", () => texts.every(({ text }) => text === big));
  assert.deepEqual([failed, t.closedInOrder.toSorted()], [1, [1, 2]]);
  assert.equal(t.stats.connections.closed.shutdown, 3);
  await t[Symbol.asyncDispose]();
  await until("everything back", () => openSockets() === 0);
});

test("does not wait for those who do not read, and is the same when called twice", { timeout: 20_000 }, async () => {
  await using t = new SocketsUnderTest({ limits: { backlog: 64 << 20, stalledMs: Number.POSITIVE_INFINITY } });
  const phone = t.connect(await t.listen("tcp"));
  phone.write(options("1"));
  const { flow } = await t.message();
  phone.pause();
  const big = options("2", "x".repeat(60_000));
  for (let i = 0; i < 400; i++) t.sockets.send(flow, big);
  await Promise.all([t.sockets.close(), t.sockets.close()]);
  assert.deepEqual([t.closedInOrder, t.stats.connections.closed.shutdown], [[1], 1]);
});

test("nothing that came with a message is heard when all is closed upon it", async () => {
  await using t = new SocketsUnderTest();
  const phone = t.connect(await t.listen("tcp"));
  t.onMessage = () => void t.sockets.close();
  phone.write(options("1") + options("2"));
  await once(phone, "close");
  await t.sockets.close();
  assert.deepEqual(t.texts, [options("1")]);
});

test("nothing is sent afterwards, and no connection opened", async () => {
  await using t = new SocketsUnderTest();
  const local = await t.listen("udp");
  await t.sockets.close();
  let failed = 0;
  for (const transport of ["udp", "tcp", "tls"] as const) {
    t.sockets.send({ transport, address: local }, options("1"), () => failed++);
  }
  await t.settled();
  assert.equal(failed, 3);
});

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => /TCP|UDP|TLS/.test(name)).length;
}
