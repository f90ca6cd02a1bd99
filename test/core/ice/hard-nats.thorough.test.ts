/** How often probing finds a path, and how soon. Theory says 98.3 % for 256 ports open of 64,512, and 1,024 guesses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { requireLong } from "../../support/peers.ts";
import { trySeeds } from "./hard-nats.ts";

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)] as number;
}

test("symmetric and port-restricted, 1,000 seeds: direct in 97 %, and the limits hold in all", {
  skip: requireLong(1),
}, (t) => {
  const { direct, probes } = trySeeds(1_000);
  t.diagnostic(`direct: ${direct.length} of 1,000, p50 ${quantile(direct, 0.5)} ms, p95 ${quantile(direct, 0.95)} ms`);
  t.diagnostic(`probes of both: p50 ${quantile(probes, 0.5)}, p95 ${quantile(probes, 0.95)}, most ${probes.at(-1)}`);
  assert.ok(direct.length >= 970, `${direct.length} of 1,000`);
});
