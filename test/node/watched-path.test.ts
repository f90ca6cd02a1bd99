/** A path that is watched, over a forwarder that is cut for a while and over carriers of the test's own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIp } from "../../src/core/base/address.ts";
import { BindingSocket } from "../../src/node/binding-socket.ts";
import { BindingStream } from "../../src/node/binding-stream.ts";
import { RelayPair } from "../../src/node/relay-pair.ts";
import { type Carrier, WatchedPath } from "../../src/node/watched-path.ts";
import { startDaemon } from "../support/daemon.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";
import { openRoughPath } from "../support/rough-path.ts";
import { until } from "../support/until.ts";

const silent = { failure: "silent" };

test("a short outage is measured, and leaves socket and allocations as they were", async () => {
  const user = { name: "alice", password: "wonderland" };
  const server = { user, relayPorts: await freePortRange(64), allowPeers: ["127.0.0.0/8"], port: await freePort() };
  const relay = await startPostern(server);
  const port = await freePort();
  await using rough = await openRoughPath({ port, server: server.port });
  const address = parseIp("127.0.0.1", port)!;
  const url = `turn:127.0.0.1:${port}?transport=udp`;
  const bindings = new WatchedPath(async (signal) => (await BindingSocket.openAnswered(address, signal)) ?? silent);
  const echo = new WatchedPath<unknown>(async (signal) => {
    const options = { url, username: user.name, credential: user.password, patience: 2_000, signal };
    const pair = await RelayPair.open(options);
    return pair instanceof RelayPair ? pair : { failure: pair };
  });
  const paths = [bindings, echo] as const;
  try {
    await until("both", () => paths.every((path) => path.take().roundTrip !== undefined), { within: 60_000 });
    const mapped = paths.map((path) => path.mapped?.port);
    const cutAt = performance.now();
    rough.isCut = true;
    await until("the outage", () => paths.every(({ outages }) => outages.isOut), { within: 60_000 });
    rough.isCut = false;
    const mendedAt = performance.now();
    await until("the end of it", () => paths.every(({ outages }) => !outages.isOut), { within: 60_000 });
    for (const { outages, carriers } of paths) {
      const [outage, ...more] = outages.all;
      assert.deepEqual(more, []);
      assert.ok(outage!.from >= cutAt - 50 && outage!.from < cutAt + 700, `${outage!.from} ${cutAt}`);
      assert.ok(outage!.until! >= mendedAt - 50 && outage!.until! < mendedAt + 1_500, `${outage!.until} ${mendedAt}`);
      assert.equal(carriers, 1);
    }
    assert.deepEqual(
      paths.map((path) => path.mapped?.port),
      mapped,
    );
  } finally {
    await Promise.all(paths.map((path) => path.stop()));
    await until("no allocation", async () => (await relay.metric("postern_turn_allocations")) === 0);
    await relay.stop();
  }
});

test("over TCP and TLS: a connection is kept, and one that ends is replaced", async () => {
  await using daemon = await startDaemon();
  for (const transport of ["tcp", "tls"] as const) {
    const address = parseIp("127.0.0.1", transport === "tcp" ? daemon.ports.port : daemon.ports.tlsPort)!;
    const opened: BindingStream[] = [];
    const path = new WatchedPath(async (signal) => {
      const stream = await BindingStream.open(transport, address, "localhost", signal, undefined);
      if (stream !== undefined) opened.push(stream);
      return stream ?? silent;
    });
    try {
      for (const _ of [1, 2]) {
        await until("an answer", () => path.take().roundTrip !== undefined, { within: 60_000 });
      }
      assert.equal(path.carriers, 1);
      assert.equal(path.mapped?.w3, address.w3);
      opened[0]?.close();
      await until("another", () => path.carriers === 2 && path.take().roundTrip !== undefined, { within: 60_000 });
    } finally {
      await path.stop();
    }
  }
  const nobody = parseIp("127.0.0.1", await freePort())!;
  assert.equal(await BindingStream.open("tcp", nobody, "localhost", AbortSignal.timeout(5_000), undefined), undefined);
});

/** Answers at once, until it is told to be silent. */
class Echo implements Carrier {
  onBack: (sequence: number) => void = () => {};
  readonly mapped = undefined;
  readonly ended: Promise<never> = new Promise(() => {});
  isSilent = false;
  isClosed = false;
  send(sequence: number): void {
    if (!this.isSilent) setImmediate(() => this.onBack(sequence));
  }
  close(): void {
    this.isClosed = true;
  }
}

test("when the first carrier stays silent the second takes over, and the first is closed; why there is none is told", async () => {
  const opened: (Echo | typeof silent)[] = [silent, new Echo(), new Echo()];
  let next = 0;
  const path = new WatchedPath(async () => opened[next++]!);
  try {
    await until("the reason", () => path.failure === "silent");
    await until("the first", () => path.take().roundTrip !== undefined, { within: 60_000 });
    assert.equal(path.failure, undefined);
    const [, first, second] = opened as [unknown, Echo, Echo];
    first.isSilent = true;
    await until("the second", () => path.carriers === 2, { within: 60_000 });
    await until("the first to be closed", () => first.isClosed);
    await until("answers again", () => path.take().roundTrip !== undefined, { within: 60_000 });
    assert.equal(second.isClosed, false);
  } finally {
    await path.stop();
  }
  assert.equal((opened[2] as Echo).isClosed, true);
});
