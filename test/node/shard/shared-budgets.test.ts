/** Threads that spend one budget at once. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { ipv4 } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { SOURCE_SLOTS, SourceBudget } from "../../../src/core/base/source-budget.ts";

const burst = 1_000_000;

interface Race {
  readonly slots: Int32Array;
  /** How many are ready. */
  readonly ready: Int32Array;
  readonly threads: number;
}

function spend({ slots, ready, threads }: Race): number {
  const budget = new SourceBudget(burst / 2, 1, undefined, slots);
  const [source, now] = [ipv4(0x05060708, 1), 1_000 as Instant];
  Atomics.add(ready, 0, 1);
  while (Atomics.load(ready, 0) < threads);
  let taken = 0;
  for (let i = 0; i < burst; i++) if (budget.take(source, now)) taken++;
  return taken;
}

if (!isMainThread) parentPort?.postMessage(spend(workerData as Race));
else
  test("what two threads take of one source's budget is the budget, to the last", { timeout: 60_000 }, async () => {
    const create = (length: number) => new Int32Array(new SharedArrayBuffer(4 * length));
    const race: Race = { slots: create(SOURCE_SLOTS), ready: create(1), threads: 2 };
    const threads = Array.from(
      { length: race.threads },
      () => new Worker(new URL(import.meta.url), { workerData: race }),
    );
    const all = await Promise.all(threads.map((one) => once(one, "message", { signal: AbortSignal.timeout(50_000) })));
    assert.equal(
      all.reduce((sum, [taken]) => sum + (taken as number), 0),
      burst,
    );
  });
