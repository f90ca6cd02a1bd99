/** Waiting in the place of a thread's loop ends as soon as the loop has something to do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { createPulse, Pulse } from "../../../src/node/shard/pulse.ts";
import { WaitLoop } from "../../../src/node/shard/wait-loop.ts";
import { nodeLoop } from "../../../src/node/sys/node-loop.ts";
import type { ThreadLoop } from "../../../src/node/sys/readiness.ts";
import { Timer } from "../../../src/node/sys/timer.ts";
import { requireForeign } from "../../support/peers.ts";
import { until } from "../../support/until.ts";

const foreign = requireForeign();
const nearlyForEver = 900_000;

/** What `work` says from inside a call of what `loop` watches. */
async function inTurn<T>(loop: ThreadLoop, work: () => T): Promise<T> {
  using held = new DisposableStack();
  const timer = held.adopt(new Timer(), (closing) => closing.close());
  const { promise, resolve } = Promise.withResolvers<T>();
  const watch = loop.watch(timer.descriptor, () => {
    timer.set(0);
    resolve(work());
  });
  held.defer(() => watch.close());
  timer.set(1);
  return await promise;
}

for (const [name, open] of [
  ["Node's own", () => ({ loop: nodeLoop(), close: () => {} })],
  [
    "a worker's",
    () => {
      const loop = new WaitLoop(new Pulse(createPulse()));
      return { loop, close: () => loop.close() };
    },
  ],
] as const) {
  test(`in the place of ${name} loop`, { skip: foreign, timeout: 60_000 }, async (t) => {
    using held = new DisposableStack();
    const { loop } = held.adopt(open(), ({ close }) => close());
    const { port1, port2 } = new MessageChannel();
    held.defer(() => port1.close());
    const heard: unknown[] = [];
    port1.on("message", (message) => heard.push(message));

    await t.test("a pause lasts when there is nothing to do", async () => {
      await until("one that lasts", () => inTurn(loop, () => loop.pause(500)));
    });
    await t.test("it ends for a message", async () => {
      const lasts = await inTurn(loop, () => {
        port2.postMessage("hello");
        return loop.pause(nearlyForEver);
      });
      assert.equal(lasts, false);
      await until("the message", () => heard.length === 1);
    });
    await t.test("it is none when a timer is due before", async () => {
      const lasts = await inTurn(loop, () => {
        held.adopt(
          setTimeout(() => {}, 100),
          clearTimeout,
        );
        return loop.pause(nearlyForEver);
      });
      assert.equal(lasts, false);
    });
    await t.test("nor when one has become due sooner, by work that has taken its time", async () => {
      const lasts = await inTurn(loop, () => {
        const begin = performance.now();
        held.adopt(
          setTimeout(() => {}, 100),
          clearTimeout,
        );
        while (performance.now() < begin + 80);
        return loop.pause(50_000);
      });
      assert.equal(lasts, false);
    });
    await t.test("it is none when an immediate is due", async () => {
      const lasts = await inTurn(loop, () => {
        setImmediate(() => {});
        return loop.pause(nearlyForEver);
      });
      assert.equal(lasts, false);
    });
    await t.test("it is none when another descriptor that is watched can be read", async () => {
      const timer = held.adopt(new Timer(), (closing) => closing.close());
      const watch = loop.watch(timer.descriptor, () => timer.set(0));
      held.defer(() => watch.close());
      const lasts = await inTurn(loop, () => {
        timer.set(1);
        return loop.pause(nearlyForEver);
      });
      assert.equal(lasts, false);
    });
  });
}

test("what was put off is done before a worker waits in its loop's place", {
  skip: foreign,
  timeout: 60_000,
}, async () => {
  using held = new DisposableStack();
  const loop = held.adopt(new WaitLoop(new Pulse(createPulse())), (closing) => closing.close());
  const done: string[] = [];
  await inTurn(loop, () => {
    loop.defer(() => done.push("in the turn"));
    loop.pause(500);
    done.push("after the pause");
    loop.defer(() => done.push("after the turn"));
  });
  await until("what was put off after it", () => done.length === 3);
  assert.deepEqual(done, ["in the turn", "after the pause", "after the turn"]);
});
