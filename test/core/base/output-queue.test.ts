import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OutputQueue } from "../../../src/core/base/output-queue.ts";

test("what went in first comes out first, like an array's", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (pushes) => {
      const queue = new OutputQueue<number>();
      const model: number[] = [];
      for (const [i, push] of pushes.entries()) {
        if (push) {
          queue.push(i);
          model.push(i);
        } else assert.equal(queue.shift(), model.shift());
        assert.equal(queue.length, model.length);
      }
    }),
  );
});

test("what was taken out is not kept alive by the queue", async () => {
  const queue = new OutputQueue<object>();
  const taken = new WeakRef(fill(queue));
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await new Promise((done) => setImmediate(done));
  collect();
  assert.equal(taken.deref(), undefined);
  assert.equal(queue.length, 1);
});

/** Pushes two objects and takes the first out. */
function fill(queue: OutputQueue<object>): object {
  queue.push({});
  queue.push({});
  return queue.shift() as object;
}
