import assert from "node:assert/strict";
import { test } from "node:test";
import { openDescriptorLimit } from "../../../src/node/descriptors.ts";
import { capacityOf } from "../../../src/node/turn/capacity.ts";
import { CONFIG } from "../../support/turn-world.ts";

const quotas = { ...CONFIG.quotas, allocations: 1_000_000 };
const [v4, v6] = CONFIG.relays;
const wide = { min: 10_000, max: 59_999 };

test("the open-descriptor limit is known on Linux", { skip: process.platform !== "linux" }, () => {
  assert.ok((openDescriptorLimit() ?? 0) >= 256);
});

test("descriptors: one for every family of relays, after what streams and the process itself take", () => {
  const one = { ...CONFIG, quotas, relays: [v4!], relayPorts: wide };
  const descriptors = 1_064;
  assert.deepEqual(capacityOf(one, 100, descriptors), { allocations: 900, limitedBy: "descriptors", descriptors });
  const both = { ...one, relays: [v4!, v6!] };
  assert.deepEqual(capacityOf(both, 100, descriptors), { allocations: 450, limitedBy: "descriptors", descriptors });
  assert.equal(capacityOf(both, 5_000, descriptors).allocations, 0);
});

test("descriptors: what workers of a server keep open is not for relays", () => {
  const one = { ...CONFIG, quotas, relays: [v4!], relayPorts: wide };
  assert.equal(capacityOf(one, 100, 1_064, 3).allocations, 900 - 3 * 32);
});

test("ports: those of the family that has fewest addresses", () => {
  const relayPorts = { min: 50_000, max: 50_099 };
  const config = { ...CONFIG, quotas, relayPorts, relays: [v4!, v4!, v6!] };
  assert.deepEqual(capacityOf(config, 0, 1e6), { allocations: 100, limitedBy: "ports", descriptors: 1e6 });
  const four = { ...config, relays: [v4!, v4!] };
  assert.equal(capacityOf(four, 0, 1e6).allocations, 200);
});

test("the quota, where nothing else is tighter", () => {
  const config = { ...CONFIG, quotas: { ...quotas, allocations: 7 }, relayPorts: wide };
  assert.equal(capacityOf(config, 0, 1e6).limitedBy, "quota");
  assert.equal(capacityOf(config, 0, 1e6).allocations, 7);
});

test("without an address to relay from there is no room", () => {
  assert.equal(capacityOf({ ...CONFIG, relays: [] }, 0, 1e6).allocations, 0);
});
