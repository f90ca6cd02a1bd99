import assert from "node:assert/strict";
import { test } from "node:test";
import { requireForeign, requireStress } from "../../support/peers.ts";
import { stressGarbage } from "./stress-garbage.ts";

test("nothing that native code needs is collected, for three minutes", {
  skip: requireForeign() || requireStress(3),
}, async () => {
  const done = await stressGarbage(180);
  assert.ok(done.datagrams > 20_000, `${done.datagrams} datagrams came back`);
  // The arguments of single calls are the process's, not a datapath's.
  assert.deepEqual(done.memories, ["pause", "socket arguments"]);
});
