/** What /metrics says of a server of several workers, when one of them ends. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { test } from "node:test";
import { parseIp } from "../../src/core/base/address.ts";
import { Secret } from "../../src/node/secret.ts";
import { serveHttp } from "../../src/server/http/server.ts";
import { alice, at, LoopbackPeer } from "../node/host-under-test.ts";
import { cause, faults, stall } from "../node/shard/faults.ts";
import { type Session, ShardsUnderTest } from "../node/shard/shards-under-test.ts";
import { requireForeign } from "../support/peers.ts";
import { TurnClient } from "../support/turn-client.ts";
import { until } from "../support/until.ts";

/** Those that Prometheus may take rates of. */
function counters(text: string): Map<string, number> {
  const found = new Map<string, number>();
  let isCounter = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("# TYPE ")) isCounter = line.startsWith("# TYPE postern_") && line.endsWith(" counter");
    const at = line.lastIndexOf(" ");
    if (isCounter && !line.startsWith("#") && at > 0) found.set(line.slice(0, at), Number(line.slice(at)));
  }
  return found;
}

/** More than a listener's queue takes while nobody reads it. */
async function overfill(port: number, sources: number): Promise<void> {
  for (let i = 0; i < sources; i++) {
    const socket = createSocket("udp4");
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = 1_500;
    const sent = () => --left === 0 && resolve();
    for (let n = left; n > 0; n--) socket.send(Buffer.alloc(1_200, 0x41), port, "127.0.0.1", sent);
    await promise;
    socket.close();
  }
}

function serve({ host }: ShardsUnderTest) {
  return serveHttp(parseIp("127.0.0.1") as never, {
    token: () => new Secret("token-1"),
    turn: host,
    isDraining: () => false,
    version: "0",
    issue: () => undefined,
    maxTtl: 60,
    guardMetrics: false,
  });
}

test("a TCP port that somebody else took is missed in /healthz and in /metrics", {
  skip: requireForeign(),
  timeout: 60_000,
}, async () => {
  const thief = createServer();
  using held = new DisposableStack();
  held.defer(() => thief.close());
  let port = 0;
  const onLost = () => thief.listen(port, "127.0.0.1");
  await using t = await ShardsUnderTest.create({ workers: { execArgv: faults } }, {}, "127.0.0.1", onLost);
  ({ port } = (await t.host.listen({ transport: "tcp", address: at("127.0.0.1") })).address);
  await using http = await serve(t);
  const lost = async () => {
    const ask = (path: string) => fetch(`http://127.0.0.1:${http.port}/${path}`);
    const { lostListeners } = (await (await ask("healthz")).json()) as { lostListeners: number };
    const metrics = await (await ask("metrics")).text();
    return [lostListeners, /^postern_shard_lost_listeners{shard="streams"} (\d)$/m.exec(metrics)?.[1]];
  };
  assert.deepEqual(await lost(), [0, "0"]);
  cause(t.shards, "error");
  await until("the loss", () => t.logged("listener-lost").length === 1);
  assert.deepEqual(await lost(), [1, "1"]);
});

test("no counter goes back when a worker ends by its heap's limit, nor while the next one begins", {
  skip: requireForeign(),
  timeout: 120_000,
}, async () => {
  await using t = await ShardsUnderTest.create({ workers: { heapMegabytes: 48, execArgv: faults } });
  const { address } = await t.host.listen({ transport: "tcp", address: at("127.0.0.1") });
  await using http = await serve(t);
  const scrape = async () => counters(await (await fetch(`http://127.0.0.1:${http.port}/metrics`)).text());
  let last = new Map<string, number>();
  const backward: string[] = [];
  const look = async (): Promise<void> => {
    const now = await scrape();
    for (const [name, value] of last)
      if ((now.get(name) ?? 0) < value) backward.push(`${name}: ${now.get(name)} < ${value}`);
    last = now;
  };

  await using peer = await LoopbackPeer.open();
  await using stream = await TurnClient.connect({ transport: "tcp", port: address.port, ...alice });
  await stream.allocate();
  for (const { client } of (await t.sessionOnEach()) as Session[]) {
    await client.bindChannel(0x4000, peer.address);
    for (let i = 0; i < 50; i++) client.sendOnChannel(0x4000, Buffer.alloc(100));
  }
  await until("all of it", () => peer.received.length === 100);
  const letGo = stall(0, "pause");
  await overfill(t.port, 8);
  letGo();
  await until("losses of a listener", async () => {
    await look();
    return (last.get('postern_udp_unreceived_total{queue="listener"}') ?? 0) > 0;
  });
  for (const name of ["turn_allocations_total", "relayed_packets_to_peers_total", "udp_packets_in_total"])
    assert.ok((last.get(`postern_${name}`) ?? 0) >= 3, name);

  cause(0, "heap");
  const isBack = () => t.logged("shard-ended").length === 1 && t.host.shards.every(({ isUp }) => isUp);
  await until("the next worker", async () => {
    await look();
    return isBack();
  });
  await t.sessionOnEach();
  await look();
  assert.deepEqual(backward, []);
  assert.equal(last.get('postern_shard_failures_total{shard="udp 0"}'), 1);
});
