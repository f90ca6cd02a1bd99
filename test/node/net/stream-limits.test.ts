import assert from "node:assert/strict";
import { test } from "node:test";
import { openDescriptorLimit } from "../../../src/node/descriptors.ts";
import { defaultStreamLimits, limitsWithin } from "../../../src/node/net/stream-limits.ts";

test("a quarter of the descriptors is the connections', and half of that is out of strangers' reach", () => {
  const quarter = Math.floor((openDescriptorLimit() ?? Number.POSITIVE_INFINITY) / 4);
  const { connections, halfOpen } = limitsWithin({ ...defaultStreamLimits, connections: 1e9, halfOpen: 1e9 });
  assert.deepEqual([connections, halfOpen], [quarter, Math.ceil(quarter / 2)]);
});

test("fewer when the defaults say so, and more when that is asked for", () => {
  const few = limitsWithin({ ...defaultStreamLimits, connections: 10, halfOpen: 3 });
  assert.deepEqual([few.connections, few.halfOpen], [10, 3]);
  const asked = limitsWithin(defaultStreamLimits, { connections: 5, frameMs: 7 });
  assert.deepEqual(asked, { ...defaultStreamLimits, connections: 5, halfOpen: 3, frameMs: 7 });
  assert.equal(limitsWithin(defaultStreamLimits, { connections: 1e9 }).connections, 1e9);
  assert.equal(limitsWithin(defaultStreamLimits, { connections: 5, halfOpen: 5 }).halfOpen, 5);
});
