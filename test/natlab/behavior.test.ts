/** What a NAT may be declared to do: programs without a compiler's help hear of their mistakes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type NatBehavior, natBehavior } from "../../src/natlab/behavior.ts";

const declare = (departures: unknown) => () => natBehavior(departures as Partial<NatBehavior>);
const refusal = (message: RegExp) => ({ code: "NATLAB_BEHAVIOR", message });

test("a behavior that no NAT here has is refused, with those that there are", () => {
  assert.throws(declare({ mapping: "symmetric" }), refusal(/mapping is one of endpoint-independent, address-dep/));
  assert.throws(declare({ maping: "endpoint-independent" }), refusal(/no "maping", only mapping, filtering/));
  assert.throws(declare({ ports: "random" }), refusal(/ports is of another type: such as {"kind":"preservation"}/));
  assert.throws(declare({ ports: { kind: "randm" } }), refusal(/one of preservation, overloading, sequential, random/));
  assert.throws(declare({ lifetime: "30 s" }), refusal(/lifetime is of another type: such as 300000/));
  assert.throws(declare({ hairpin: undefined }), refusal(/hairpin is one of none, internal, external/));
});

test("what is declared is what the NAT does, and the rest is what the RFCs ask for", () => {
  const { mapping, filtering, ports } = natBehavior({
    ports: { kind: "sequential", step: 2 },
    filtering: "address-dependent",
  });
  assert.deepEqual([mapping, filtering, ports.kind], ["endpoint-independent", "address-dependent", "sequential"]);
});
