/** What native code points at outlives the garbage collector: see garbage-stress.ts. For minutes in garbage.stress.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { requireForeign } from "../../support/peers.ts";
import { stressGarbage } from "./stress-garbage.ts";

test("nothing that native code needs is collected", { skip: requireForeign() }, async () => {
  const done = await stressGarbage(10);
  assert.ok(done.datagrams > 500, `${done.datagrams} datagrams came back`);
  assert.ok(done.collections > 20, `${done.collections} collections`);
  // The arguments of single calls are the process's, not a datapath's.
  assert.deepEqual(done.memories, ["pause", "socket arguments"]);
});
