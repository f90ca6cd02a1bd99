/** A thread that waits for packets in its loop's place still does everything else in time. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { parseIp } from "../../../src/core/base/address.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { nodeLoop } from "../../../src/node/sys/node-loop.ts";
import { requireForeign } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import type { Said } from "./busy-receiver.ts";
import { Recorder } from "./compliance.ts";

const foreign = requireForeign();
const receiver = new URL("./busy-receiver.ts", import.meta.url);

interface Receiver {
  readonly said: readonly Said[];
  ask(): void;
}

function asProcess(held: AsyncDisposableStack): Receiver {
  const said: Said[] = [];
  const child = held.adopt(fork(receiver), (ending) => void ending.kill("SIGKILL"));
  child.on("message", (message: Said) => said.push(message));
  return { said, ask: () => void child.send("?") };
}

function asWorker(held: AsyncDisposableStack): Receiver {
  const said: Said[] = [];
  const worker = held.adopt(new Worker(receiver), async (ending) => void (await ending.terminate()));
  worker.on("message", (message: Said) => said.push(message));
  return { said, ask: () => worker.postMessage("?") };
}

/** Ten datagrams a millisecond, which is worth waiting for, until it is disposed of. */
function pour(held: AsyncDisposableStack, port: number): void {
  const socket = held.adopt(createSocket("udp4"), (closing) => void closing.close());
  let goesOn = true;
  const pouring = (async () => {
    while (goesOn) {
      for (let i = 0; i < 10; i++) socket.send("x", port, "127.0.0.1");
      await delay(1);
    }
  })();
  held.defer(async () => {
    goesOn = false;
    await pouring;
  });
}

for (const [where, start] of [
  ["Node's own loop", asProcess],
  ["a worker's loop", asWorker],
] as const) {
  test(`${where} hears messages and timers while packets flow`, { skip: foreign, timeout: 60_000 }, async () => {
    await using held = new AsyncDisposableStack();
    const { said, ask } = start(held);
    pour(held, await until("the socket to open", () => said.find(({ port }) => port !== undefined)?.port));
    const mostInTurn = await until("the timer", () => said.find((one) => one.mostInTurn)?.mostInTurn);
    // Each took nearly half a millisecond at least, and everything else has its turn after two.
    assert.ok(mostInTurn <= 5, `${mostInTurn} pauses in one turn`);
    ask();
    const answer = await until("the answer", () => said.find(({ heard }) => heard !== undefined));
    assert.equal(answer.heard, true);
  });
}

/**
 * Pours upon a socket for `purpose` until `isEnough`; says how often it paused, how often what its sink had promised waited for
 * that, and how often in one turn another pause followed one that had not lasted.
 */
async function pausesOf(purpose: "relay" | "listener", isEnough: (packets: number, pauses: number) => boolean) {
  await using held = new AsyncDisposableStack();
  const loop = nodeLoop();
  const count = { packets: 0, pauses: 0, overPromises: 0, afterAll: 0 };
  let promised = 0;
  let isOver = false;
  const pause = (microseconds: number): boolean => {
    count.pauses++;
    if (promised > 0) count.overPromises++;
    if (isOver) count.afterAll++;
    const hasLasted = loop.pause(microseconds);
    if (!hasLasted && !isOver) queueMicrotask(() => (isOver = false));
    if (!hasLasted) isOver = true;
    return hasLasted;
  };
  class Promising extends Recorder {
    override handleDatagram(): void {
      count.packets++;
      promised++;
      queueMicrotask(() => promised--);
    }
  }
  const options = { wakeDelay: 500, loop: { watch: loop.watch, pause } };
  const datapath = held.adopt(new MmsgDatapath(options), (closing) => closing.close());
  const sink = new Promising();
  datapath.bind(parseIp("127.0.0.1")!, purpose, sink);
  pour(held, (await until("the socket to open", () => sink.address)).port);
  await until("many packets", () => isEnough(count.packets, count.pauses));
  return count;
}

test("what comes to relays is waited for in the loop's place until that has something to do", {
  skip: foreign,
}, async () => {
  const { afterAll } = await pausesOf("relay", (packets, pauses) => packets > 2_000 && pauses > 100);
  assert.equal(afterAll, 0);
});

test("what the sink of a listener has promised does not wait for more to come", { skip: foreign }, async () => {
  const { overPromises } = await pausesOf("listener", (packets) => packets > 2_000);
  assert.equal(overPromises, 0);
});
