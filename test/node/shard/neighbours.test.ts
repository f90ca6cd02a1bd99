/** Packets between real threads, which are ended in the middle of whatever they do. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import type { RingMemories } from "../../../src/node/shard/neighbours.ts";
import { createPacketRing } from "../../../src/node/shard/packet-ring.ts";
import { openEvent } from "../../../src/node/sys/event-descriptor.ts";
import { closeDescriptor } from "../../../src/node/sys/udp-socket.ts";
import { requireForeign } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import type { Order, Report, Start } from "./neighbour-thread.ts";

const skip = requireForeign();
const timeout = 60_000;

function memoriesFor(count: number): RingMemories & Disposable {
  const all = Array.from({ length: count }, (_, i) => i);
  const events = all.map(() => openEvent());
  return {
    rings: all.map((from) => all.map((to) => (from === to ? undefined : createPacketRing()))),
    events,
    [Symbol.dispose]: () => events.forEach(closeDescriptor),
  };
}

class Thread implements AsyncDisposable {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start({ rings, events }: RingMemories, index: number): Promise<Thread> {
    const workerData: Start = { memories: { rings, events }, index };
    const worker = new Worker(new URL("./neighbour-thread.ts", import.meta.url), { workerData });
    await once(worker, "message");
    return new Thread(worker);
  }

  tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  async send(to: number, count: number, isPatient: boolean): Promise<void> {
    this.tell({ type: "send", to, count, isPatient });
    await once(this.#worker, "message");
  }

  async report(): Promise<Report> {
    this.tell({ type: "report" });
    const [report] = await once(this.#worker, "message");
    return report as Report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

describe("neighbours", { skip, timeout }, () => {
  test("what three threads send each other arrives whole, in order, and all of it", async () => {
    using memories = memoriesFor(3);
    await using a = await Thread.start(memories, 0);
    await using b = await Thread.start(memories, 1);
    await using c = await Thread.start(memories, 2);
    await Promise.all([a.send(2, 4_000, true), b.send(0, 4_000, true), c.send(1, 4_000, true)]);
    for (const thread of [a, b, c]) {
      await until("all packets", async () => (await thread.report()).received === 4_000);
      const { broken, disordered, sent } = await thread.report();
      assert.deepEqual({ broken, disordered, sent }, { broken: 0, disordered: 0, sent: 4_000 });
    }
  });

  test("a sender that is ended anywhere breaks nothing, and its successor is heard", async () => {
    using memories = memoriesFor(2);
    await using reader = await Thread.start(memories, 0);
    for (let i = 0; i < 12; i++) {
      const sender = await Thread.start(memories, 1);
      const before = (await reader.report()).received;
      sender.tell({ type: "send", to: 0, count: 1_000_000, isPatient: false });
      await until("packets", async () => (await reader.report()).received > before);
      await sender[Symbol.asyncDispose]();
    }
    await using last = await Thread.start(memories, 1);
    await last.send(0, 500, true);
    await until("the last packet", async () => (await reader.report()).last === 499);
    const { broken, disordered } = await reader.report();
    assert.deepEqual({ broken, disordered }, { broken: 0, disordered: 0 });
  });

  test("a reader that hangs and is ended with its ring full costs its packets alone, and its successor reads on", async () => {
    using memories = memoriesFor(3);
    await using sender = await Thread.start(memories, 0);
    await using witness = await Thread.start(memories, 2);
    for (let i = 0; i < 4; i++) {
      const hanging = await Thread.start(memories, 1);
      hanging.tell({ type: "hang" });
      const { full } = await sender.report();
      await sender.send(1, 2_000, false);
      assert.ok((await sender.report()).full > full, "drops are counted");
      const before = (await witness.report()).received;
      await sender.send(2, 100, true);
      await until("what is for the other", async () => (await witness.report()).received === before + 100);
      await hanging[Symbol.asyncDispose]();
    }
    await using next = await Thread.start(memories, 1);
    await sender.send(1, 500, true);
    await until("packets", async () => (await next.report()).received === 500);
    assert.equal((await next.report()).broken + (await witness.report()).broken, 0);
  });
});
