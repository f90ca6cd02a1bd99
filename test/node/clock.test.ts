import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { monotonicNow } from "../../src/node/clock.ts";

if (!isMainThread) parentPort?.postMessage(monotonicNow());
else
  test("threads of a process, however late they begin, have one clock: shards share what hangs on it", async () => {
    const before = monotonicNow();
    const worker = new Worker(new URL(import.meta.url));
    const [there] = (await once(worker, "message", { signal: AbortSignal.timeout(60_000) })) as [number];
    assert.ok(there > before && there < monotonicNow(), `${before}, then ${there}`);
  });
