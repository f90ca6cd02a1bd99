/** Counts over all shards, against exact ones; and a quota that two threads take at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import type { Address } from "../../../src/core/base/address.ts";
import { ipv4, parseIp } from "../../../src/core/base/address.ts";
import type { Counted } from "../../../src/core/turn/server/quota.ts";
import { createSketch, emptySketch, SharedCounts } from "../../../src/node/shard/shared-counts.ts";
import { testCrypto } from "../../support/crypto.ts";
import { done, type Outcome, type Race } from "./quota-racer.ts";

const key = new Uint8Array(16).fill(7);
const shards = 3;

function countsOf(): { sketches: SharedArrayBuffer[]; counts: SharedCounts[] } {
  const sketches = Array.from({ length: shards }, () => createSketch());
  return { sketches, counts: sketches.map((_, index) => new SharedCounts(sketches, index, key, testCrypto)) };
}

interface Held {
  readonly shard: number;
  readonly user: string;
  readonly source: number;
}

test("property: counts are exact while few names share the sketch, whoever counts, and whoever dies", () => {
  const held = fc.record({
    shard: fc.nat(shards - 1),
    user: fc.constantFrom("alice", "bob", "", "ålice", "a".repeat(500)),
    source: fc.nat(3),
  });
  const step = fc.oneof(
    { weight: 5, arbitrary: held },
    { weight: 3, arbitrary: fc.record({ giveBack: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ dies: fc.nat(shards - 1) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { sketches, counts } = countsOf();
      let all: Held[] = [];
      for (const what of steps) {
        if ("dies" in what) {
          emptySketch(sketches[what.dies] as SharedArrayBuffer);
          all = all.filter(({ shard }) => shard !== what.dies);
        } else if ("giveBack" in what) {
          const [gone] = all.splice(what.giveBack % Math.max(1, all.length), 1);
          if (gone !== undefined) counts[gone.shard]?.remove(gone.user, ipv4(gone.source, 1));
        } else {
          all.push(what);
          assert.deepEqual(counts[what.shard]?.add(what.user, ipv4(what.source, 9)), {
            total: all.length,
            ofUser: all.filter(({ user }) => user === what.user).length,
            ofSource: all.filter(({ source }) => source === what.source).length,
          });
        }
      }
    }),
    { numRuns: 40 },
  );
});

test("a source is an IPv4 address or an IPv6 /56, and no user is a source", () => {
  const { counts } = countsOf();
  const add = (source: string) => counts[0]?.add("alice", parseIp(source, 1) as Address).ofSource;
  assert.deepEqual(["2001:db8:1:200::1", "2001:db8:1:2ff::2", "2001:db8:1:300::1"].map(add), [1, 2, 1]);
  assert.deepEqual(["192.0.2.1", "192.0.2.1", "192.0.2.2", "::192.0.2.1"].map(add), [1, 2, 1, 1]);
});

test("among 20,000 users a count is never too low, and seldom too high", () => {
  const { counts } = countsOf();
  const found = Array.from({ length: 20_000 }, (_, i) => counts[i % shards]?.add(`user ${i}`, ipv4(i, 1)).ofUser ?? 0);
  assert.ok(found.every((count) => count >= 1));
  // Four in a hundred for the last ones, one in a hundred on the way there.
  const tooHigh = found.filter((count) => count > 1).length;
  assert.ok(tooHigh < 600, `${tooHigh} of 20,000`);
  assert.ok(Math.max(...found) < 8);
});

test("of two shards that count at once one sees the other, whenever that begins", (t) => {
  const source = ipv4(1, 1);
  const { add, load } = Atomics;
  // The other one does all of it between two steps of the first.
  for (let interruptedAt = 0, steps = Number.POSITIVE_INFINITY; interruptedAt < steps; interruptedAt++) {
    const { counts } = countsOf();
    const [one, other] = counts as [SharedCounts, SharedCounts];
    let step = 0;
    let seenByOther: Counted | undefined;
    const interrupt = (): void => {
      if (step++ === interruptedAt) seenByOther = other.add("alice", source);
    };
    const adding = t.mock.method(Atomics, "add", (...asked: Parameters<typeof add>) => {
      interrupt();
      return add(...asked);
    });
    const loading = t.mock.method(Atomics, "load", (...asked: Parameters<typeof load>) => {
      interrupt();
      return load(...asked);
    });
    const seen = one.add("alice", source);
    adding.mock.restore();
    loading.mock.restore();
    steps = step;
    if (seenByOther === undefined) continue;
    for (const what of ["total", "ofUser", "ofSource"] as const) {
      assert.equal(Math.max(seen[what], seenByOther[what]), 2, `${what}, interrupted at step ${interruptedAt}`);
    }
  }
});

test("a quota of one is never held twice, by whatever threads it is asked for", { timeout: 60_000 }, async () => {
  const sketches = [createSketch(), createSketch()];
  const held = new SharedArrayBuffer(4);
  const racers = await Promise.all(
    sketches.map((_, index) => {
      const workerData: Race = { sketches, index, key, held, rounds: 40_000 };
      const worker = new Worker(new URL("./quota-racer.ts", import.meta.url), { workerData });
      return new Promise<Outcome>((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
      });
    }),
  );
  assert.deepEqual(
    racers.map(({ doubles }) => doubles),
    [0, 0],
  );
  for (const { taken, refused } of racers) assert.ok(taken > 100 && refused > 0, `${taken} taken, ${refused} refused`);
  assert.equal(new Int32Array(held)[done], 0);
  const last = new SharedCounts(sketches, 0, key, testCrypto);
  assert.deepEqual(last.add("alice", ipv4(1, 1)), { total: 1, ofUser: 1, ofSource: 1 }, "all was given back");
});
