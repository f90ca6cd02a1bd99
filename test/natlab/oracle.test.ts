/** The simulated NATs against the oracle, which knows only what they are declared to be. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type NatBehavior, natBehavior, type PortAssignment } from "../../src/natlab/behavior.ts";
import { admits, canHairpin, canPunch, discovery, inSeries, type Use } from "../../src/natlab/oracle.ts";
import { listen, say } from "./inbox.ts";
import { behind, discover, observedHairpinPunch, observedLifetime, observedPunch, parse } from "./observe.ts";
import { assignments, hairpins, oracleTable, pairs } from "./oracle-table.ts";

const portAssignments: fc.Arbitrary<PortAssignment> = fc.oneof(
  fc.constantFrom<PortAssignment>({ kind: "preservation" }, { kind: "overloading" }, { kind: "random" }),
  fc.integer({ min: 1, max: 9 }).map((step): PortAssignment => ({ kind: "sequential", step })),
);
const behaviors: fc.Arbitrary<NatBehavior> = fc
  .record({
    pair: fc.constantFrom(...pairs),
    ports: portAssignments,
    hairpin: fc.constantFrom(...hairpins),
    parity: fc.boolean(),
    pooling: fc.constantFrom<NatBehavior["pooling"]>("paired", "arbitrary"),
    lifetime: fc.constantFrom(30_000, 60_000, 180_000, 300_000),
    refreshedBy: fc.constantFrom<NatBehavior["refreshedBy"]>("outbound", "inbound", "both"),
    refreshScope: fc.constantFrom<NatBehavior["refreshScope"]>("mapping", "session"),
  })
  .map(({ pair, ...rest }) => natBehavior({ ...pair, ...rest }));
const seeds = fc.integer();

test("the table is the one that was read and agreed with", () => {
  assert.equal(oracleTable(), readFileSync(join(import.meta.dirname, "oracle-table.txt"), "utf8"));
});

function agrees(seed: number, behavior: NatBehavior): void {
  const { classic: _, lifetime, ...expected } = discovery(behavior);
  const lab = behind(seed, behavior);
  assert.deepEqual(discover(lab), expected);
  assert.deepEqual(observedLifetime(lab, lifetime), [true, false], "lives one millisecond less than its lifetime");
}

suite("discovery reports what was declared", () => {
  for (const pair of pairs) {
    test(`${pair.mapping} mapping, ${pair.filtering} filtering: every port assignment and hairpin`, () => {
      for (const ports of assignments) {
        for (const hairpin of hairpins) agrees(1, natBehavior({ ...pair, ports, hairpin, parity: false }));
      }
    });
  }
  test("any behavior, any seed", () => fc.assert(fc.property(seeds, behaviors, agrees), { numRuns: 300 }));
  test("two NATs in a row look like the stricter of both", () => {
    fc.assert(
      fc.property(seeds, behaviors, behaviors, (seed, inner, outer) => {
        const { mapping, filtering, lifetime } = inSeries(inner, outer);
        const lab = behind(seed, inner, outer);
        const seen = discover(lab);
        assert.deepEqual([seen.mapping, seen.filtering], [mapping, filtering]);
        assert.deepEqual(observedLifetime(lab, lifetime), [true, false]);
      }),
      { numRuns: 150 },
    );
  });
});

suite("hole punching finds a path where the oracle says so, and nowhere else", () => {
  const declared = (seed: number, pair: Pick<NatBehavior, "mapping" | "filtering">, ports: PortAssignment) =>
    natBehavior({ ...pair, ports, parity: seed % 2 === 0 });
  for (const a of pairs) {
    test(`from ${a.mapping} mapping, ${a.filtering} filtering`, () => {
      for (const b of pairs) {
        for (const [n, ports] of assignments.entries()) {
          const [one, other] = [declared(n, a, ports), declared(n, b, { kind: "random" })];
          const what = `${ports.kind}, to ${b.mapping} mapping, ${b.filtering} filtering`;
          assert.equal(observedPunch(n, one, other), canPunch(one, other), what);
        }
      }
    });
  }
  test("any two behaviors, any seed", () => {
    fc.assert(
      fc.property(seeds, behaviors, behaviors, (seed, a, b) => {
        assert.equal(observedPunch(seed, a, b), canPunch(a, b));
      }),
      { numRuns: 300 },
    );
  });
  test("two hosts behind one NAT", () => {
    for (const pair of pairs) {
      for (const hairpin of hairpins) {
        for (const ports of assignments) {
          const nat = natBehavior({ ...pair, hairpin, ports });
          assert.equal(observedHairpinPunch(1, nat), canHairpin(nat), JSON.stringify({ ...pair, hairpin, ports }));
        }
      }
    }
  });
});

test("what keeps a mapping, and each remote's way in, alive", () => {
  const use = fc.record({
    wait: fc.integer({ min: 0, max: 9 }),
    direction: fc.constantFrom<Use["direction"]>("outbound", "inbound"),
    remote: fc.constantFrom<Use["remote"]>("first", "second"),
  });
  const knobs = fc.record({
    filtering: fc.constantFrom(...pairs.map(({ filtering }) => filtering)),
    refreshedBy: fc.constantFrom<NatBehavior["refreshedBy"]>("outbound", "inbound", "both"),
    refreshScope: fc.constantFrom<NatBehavior["refreshScope"]>("mapping", "session"),
  });
  fc.assert(
    fc.property(knobs, fc.array(use, { maxLength: 12 }), fc.integer({ min: 0, max: 9 }), (knob, plan, wait) => {
      // Waits are of seconds, in steps around a lifetime of seven.
      const nat = natBehavior({ ...knob, lifetime: 7_000 });
      const { world, client, servers } = behind(1, nat);
      const inside = client.socket({ port: 5000 });
      const heard = listen(world, inside);
      const server = { first: servers.sockets.aa, second: servers.sockets.ba };
      for (const one of Object.values(server)) one.onMessage = undefined;
      const outside = parse("203.0.113.10:5000");
      const uses: Use[] = [];
      for (const { wait, direction, remote } of plan) {
        world.advance(wait * 1000);
        uses.push({ at: world.now, direction, remote });
        if (direction === "outbound") say(inside, "out", server[remote].address);
        else say(server[remote], "in", outside);
        world.advance(0);
      }
      world.advance(wait * 1000);
      for (const remote of ["first", "second"] as const) {
        // A probe is a use, too: the second sees the first.
        const before = heard.length;
        say(server[remote], "probe", outside);
        world.advance(0);
        assert.equal(heard.length > before, admits(nat, uses, remote, world.now), JSON.stringify({ remote, uses }));
        uses.push({ at: world.now, direction: "inbound", remote });
      }
    }),
    { numRuns: 2000 },
  );
});
