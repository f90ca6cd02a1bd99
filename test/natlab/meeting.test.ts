/** The oracle for NATs in rows against the one for single NATs, which was read and agreed with by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Dependence, natBehavior } from "../../src/natlab/behavior.ts";
import { canMeet } from "../../src/natlab/meeting.ts";
import { canPunch, inSeries } from "../../src/natlab/oracle.ts";
import { assignments, pairs } from "./oracle-table.ts";

const behaviors = assignments.flatMap((ports) => pairs.map((pair) => natBehavior({ ...pair, ports })));
const transparent = natBehavior({ mapping: "endpoint-independent", filtering: "endpoint-independent" });

test("with one NAT on each side it says what canPunch says", () => {
  for (const a of behaviors) {
    for (const b of behaviors) assert.equal(canMeet([a], [b]), canPunch(a, b), JSON.stringify([a, b]));
  }
});

test("without a NAT on one side everybody meets", () => {
  for (const a of behaviors) assert.ok(canMeet([a], []) && canMeet([], [a]));
});

test("a NAT that maps and filters nothing changes nothing, on either side of another", () => {
  for (const a of behaviors) {
    for (const b of behaviors) {
      const expected = canMeet([a], [b]);
      assert.equal(canMeet([transparent, a], [b]), expected);
      assert.equal(canMeet([a, transparent], [b]), expected);
      assert.equal(canMeet([b], [a, transparent]), expected);
    }
  }
});

test("an inner NAT that has sent to an address lets it in by whichever mapping of the outer one", () => {
  const of = (mapping: Dependence, filtering: Dependence) =>
    natBehavior({ mapping, filtering, ports: { kind: "random" } });
  const inner = of("endpoint-independent", "address-dependent");
  const outer = of("address-dependent", "endpoint-independent");
  const other = of("address-dependent", "address-dependent");
  // What the two look like from outside is one NAT that would not let it in.
  const alike = { ...inner, ...inSeries(inner, outer) };
  assert.deepEqual([alike.mapping, alike.filtering], ["address-dependent", "address-dependent"]);
  assert.equal(canMeet([alike], [other]), false);
  assert.equal(canMeet([inner, outer], [other]), true);
});
