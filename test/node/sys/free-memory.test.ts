import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { FreeMemory } from "../../../src/node/sys/free-memory.ts";
import { until } from "../../support/until.ts";

const isGlibc = process.platform === "linux" && "glibcVersionRuntime" in (process.report.getReport() as Report).header;
interface Report {
  readonly header: object;
}

const megabyte = 1 << 20;
const pieces = 64_000;
const pieceLength = 1_024;

test("what was freed between what is still there goes back to the system", {
  skip: isGlibc ? false : "the C library is not glibc",
}, async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const before = process.memoryUsage.rss();
  let all: ArrayBuffer[] = Array.from({ length: pieces }, () => new Uint8Array(pieceLength).fill(1).buffer);
  // Every page keeps nothing, but each run of them something that holds the heap up.
  const kept = all.filter((_, i) => i % 1_000 === 0);
  const grown = process.memoryUsage.rss() - before;
  assert.ok(grown > 40 * megabyte, `${grown} bytes more`);
  all = [];
  collect();
  await until("the buffers to be freed", () => process.memoryUsage().arrayBuffers < 16 * megabyte);
  const freed = process.memoryUsage.rss() - before;
  assert.ok(freed > 40 * megabyte, `${freed} bytes more: nobody has to give it back`);
  let asked = 0;
  {
    using _ = new FreeMemory({ everyMs: 10, isIdle: () => ++asked === 0 });
    await until("several looks", () => asked > 10);
    const left = process.memoryUsage.rss() - before;
    assert.ok(left > 40 * megabyte, `${left} bytes more: nothing goes back while there is something to do`);
  }
  using _ = new FreeMemory({ everyMs: 200 });
  await until("the memory to go back", () => process.memoryUsage.rss() - before < 30 * megabyte);
  assert.ok(kept.length > 0);
});
