import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deadlines, type Timed } from "../../../src/core/base/deadlines.ts";
import { after, type Instant } from "../../../src/core/base/machine.ts";

interface Item extends Timed {
  readonly name: number;
}

function items(count: number): Item[] {
  return Array.from({ length: count }, (_, name) => ({ name, deadline: 0 as Instant, heapIndex: -1 }));
}

type Step = { do: "set"; item: number; at: number } | { do: "clear"; item: number } | { do: "pop"; now: number };

const count = 60;
const item = fc.nat(count - 1);
const time = fc.nat(1000);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("set" as const), item, at: time }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("clear" as const), item }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pop" as const), now: fc.nat(100) }) },
);

test("after any steps the heap holds what a plain map holds, and gives out the earliest first", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 100, maxLength: 300 }), (steps) => {
      const heap = new Deadlines<Item>();
      const all = items(count);
      const model = new Map<number, number>();
      for (const s of steps) {
        if (s.do === "set") {
          heap.set(all[s.item] as Item, s.at as Instant);
          model.set(s.item, s.at);
        } else if (s.do === "clear") {
          heap.clear(all[s.item] as Item);
          model.delete(s.item);
        } else {
          const due = heap.popDue(s.now as Instant);
          const earliest = Math.min(...model.values());
          assert.equal(due?.deadline, earliest <= s.now ? earliest : undefined);
          if (due !== undefined) {
            assert.equal(model.get(due.name), due.deadline);
            model.delete(due.name);
          }
        }
        assert.equal(heap.size, model.size);
        assert.equal(heap.next, model.size === 0 ? undefined : Math.min(...model.values()));
        for (const { name, heapIndex } of all) assert.equal(heapIndex >= 0, model.has(name));
      }
      const rest = Array.from(model.values(), () => heap.popDue(1000 as Instant)?.deadline);
      assert.deepEqual(
        rest,
        [...model.values()].sort((a, b) => a - b),
      );
    }),
    { numRuns: 500 },
  );
});

test("setting and clearing one of 100,000 deadlines costs some 17 comparisons, not a scan", () => {
  const heap = new Deadlines<Item>();
  let reads = 0;
  const counting = items(100_000).map((plain) => {
    let deadline = plain.deadline;
    return Object.defineProperty(plain, "deadline", {
      get: () => {
        reads++;
        return deadline;
      },
      set: (value: Instant) => {
        deadline = value;
      },
    });
  });
  for (const [i, one] of counting.entries()) heap.set(one, ((i * 7919) % 100_003) as Instant);
  for (const one of [0, 50_000, 99_999].map((i) => counting[i] as Item)) {
    reads = 0;
    heap.set(one, 200_000 as Instant);
    heap.set(one, -1 as Instant);
    heap.clear(one);
    assert.ok(reads < 400, `${reads} comparisons`);
  }
});

test("clearing what is not set does nothing, and what was popped may be set again", () => {
  const heap = new Deadlines<Item>();
  const [a] = items(1) as [Item];
  heap.clear(a);
  heap.set(a, after(5 as Instant, 10));
  assert.equal(heap.popDue(14 as Instant), undefined);
  assert.equal(heap.popDue(15 as Instant), a);
  assert.equal(heap.popDue(15 as Instant), undefined);
  heap.set(a, 1 as Instant);
  assert.equal(heap.next, 1);
});
