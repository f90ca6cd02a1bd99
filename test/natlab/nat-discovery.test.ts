/**
 * What the discovery client finds out in natlab, from Postern's server, is what the oracle derives from the NAT's
 * declared properties: two pieces of code that know nothing of each other.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import type { BehaviorReport } from "../../src/core/stun/behavior/report.ts";
import { type NatBehavior, natBehavior } from "../../src/natlab/behavior.ts";
import { InsideToOutside } from "../../src/natlab/firewall/inside-to-outside.ts";
import { discovery, inSeries } from "../../src/natlab/oracle.ts";
import { World } from "../../src/natlab/world.ts";
import { discover, run, said, serve } from "./discovery.ts";

const kinds = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;

const hairpins = ["none", "internal", "external"] as const;
const portKinds = [
  { kind: "preservation" },
  { kind: "overloading" },
  { kind: "sequential", step: 2 },
  { kind: "random" },
] as const;
/** Seconds, and what refreshes. */
const lifetimes = [
  [20, "outbound"],
  [45, "inbound"],
  [130, "both"],
] as const;

/** Every NAT of one mapping and one filtering. */
function natsOf(mapping: NatBehavior["mapping"], filtering: NatBehavior["filtering"]): NatBehavior[] {
  return hairpins.flatMap((hairpin) =>
    portKinds.flatMap((ports) =>
      lifetimes.map(([seconds, refreshedBy]) => {
        const lifetime = seconds * 1000;
        return natBehavior({ mapping, filtering, hairpin, ports, lifetime, refreshedBy, parity: false });
      }),
    ),
  );
}

function assertFound(report: BehaviorReport, nat: NatBehavior): void {
  const oracle = discovery(nat);
  const what = `${nat.hairpin} ${nat.ports.kind} ${nat.lifetime}`;
  assert.equal(said(report.mapping), oracle.mapping, what);
  assert.equal(said(report.filtering), oracle.filtering, what);
  assert.equal(said(report.classicName), oracle.classic.replaceAll(" ", "-"), what);
  const hairpin = nat.hairpin === "none" ? "none" : `${nat.hairpin}-source`;
  // Of a NAT that does not map alike toward everybody the filter may hide it.
  const isHidden = oracle.mapping !== "endpoint-independent" && !report.hairpinning.known;
  assert.equal(said(report.hairpinning), isHidden ? "(hidden-by-filter)" : hairpin, what);
  const ports = report.ports.known ? report.ports.value : assert.fail(what);
  if (oracle.ports === "preserved") assert.equal(ports.pattern, "preserving", what);
  else if (oracle.ports === "unpredictable") assert.notEqual(ports.pattern, "preserving", what);
  else assert.deepEqual(ports, { pattern: "sequential", step: oracle.ports }, what);
  assertLifetime(report, nat, what);
}

function assertLifetime({ lifetime }: BehaviorReport, nat: NatBehavior, what: string): void {
  const { atLeast, below = 0, ...refreshed } = lifetime.known ? lifetime.value : assert.fail(what);
  const seconds = discovery(nat).lifetime / 1000;
  assert.ok(atLeast <= seconds && seconds <= below && below - atLeast <= precision, `${what}: ${atLeast} to ${below}`);
  assert.equal(said(refreshed.refreshedByOutbound), nat.refreshedBy !== "inbound", what);
  assert.equal(said(refreshed.refreshedByInbound), nat.refreshedBy !== "outbound", what);
}

/** Seconds. */
const precision = 5;

suite("the client finds what the oracle derives", () => {
  for (const mapping of kinds) {
    for (const filtering of kinds) {
      test(`RFC 5780 §4: ${mapping} mapping, ${filtering} filtering`, () => {
        for (const nat of natsOf(mapping, filtering)) {
          assertFound(discover([nat], { lifetime: { first: 10, longest: 300, precision } }), nat);
        }
      });
    }
  }

  test("two NATs in a row look like one", () => {
    for (const inner of kinds) {
      for (const outer of kinds) {
        const nats = [
          natBehavior({ mapping: outer, filtering: inner, ports: { kind: "random" } }),
          natBehavior({ mapping: inner, filtering: outer, ports: { kind: "random" } }),
        ] as const;
        const oracle = inSeries(nats[1], nats[0]);
        const report = discover(nats);
        assert.equal(said(report.mapping), oracle.mapping, `${inner} in ${outer}`);
        assert.equal(said(report.filtering), oracle.filtering, `${inner} in ${outer}`);
        assert.deepEqual(report.publicAddresses.map(formatIp), ["203.0.113.10"]);
      }
    }
  });

  test("lifetimes, what refreshes them, and an ALG", () => {
    for (const refreshedBy of ["outbound", "inbound", "both"] as const) {
      const nat = natBehavior({ lifetime: 45_000, refreshedBy, rewritesPayload: true });
      const report = discover([nat], { lifetime: { first: 15, longest: 300, precision: 5 } });
      const lifetime = report.lifetime.known ? report.lifetime.value : assert.fail(said(report.lifetime) as string);
      assert.ok(lifetime.atLeast <= 45 && 45 <= (lifetime.below ?? 0), `${lifetime.atLeast} to ${lifetime.below}`);
      assert.equal(said(lifetime.refreshedByOutbound), refreshedBy !== "inbound");
      assert.equal(said(lifetime.refreshedByInbound), refreshedBy !== "outbound");
      assert.equal(said(report.rewritten), true);
    }
  });

  test("a lossy internet", () => {
    const nat = natBehavior({ mapping: "address-dependent", ports: { kind: "random" } });
    const report = discover([nat], {}, { loss: 0.1 });
    assert.deepEqual([said(report.mapping), said(report.filtering)], ["address-dependent", "address-dependent"]);
  });
});

suite("one NAT or several", () => {
  const strict = natBehavior({ filtering: "address-and-port-dependent" });
  const found = (nats: readonly NatBehavior[]) => {
    const { layers, layerEvidence } = discover(nats);
    return [said(layerEvidence.filterHops), said(layers)];
  };

  test("RFC 4787 §5: the outermost filter of NATs in a row", () => {
    assert.deepEqual(found([strict]), [1, "(no-evidence)"]);
    for (const outer of [strict, natBehavior({ filtering: "address-dependent" })]) {
      for (const inner of kinds) {
        assert.deepEqual(found([outer, natBehavior({ filtering: inner })]), [2, "probably-several"], inner);
      }
    }
    assert.deepEqual(found([strict, strict, strict]), [3, "probably-several"]);
    const open = natBehavior({ filtering: "endpoint-independent" });
    assert.deepEqual(found([open, strict]), [1, "(no-evidence)"], "an outer one that lets everybody in is not seen");
    assert.deepEqual(found([open, open]), ["(no-filter)", "(no-evidence)"]);
    const symmetric = natBehavior({ mapping: "address-dependent", ports: { kind: "random" } });
    assert.deepEqual(found([strict, symmetric]), ["(hidden-by-filter)", "(no-evidence)"]);
  });

  test("a router, and a NAT behind it", () => {
    const world = new World({ seed: 5 });
    const [internet, middle, inside] = [world.link("internet", { delay: 10 }), world.link("middle"), world.link("in")];
    serve(world, internet);
    world
      .gateway("nat", { nat: strict })
      .outside(internet, "203.0.113.10")
      .inside(middle, "10.1.0.1/24", "10.2.0.1/24");
    world.router("router").attach(middle, "10.1.0.2", ["10.2.0.0/24"]).attach(inside, "10.2.0.1", ["0.0.0.0/0"]);
    const { layers, layerEvidence } = run(world, world.host("client").attach(inside, "10.2.0.2"));
    assert.deepEqual([said(layerEvidence.filterHops), said(layers)], [2, "probably-several"]);
  });

  test("a NAT for IPv4 and a firewall for IPv6, one box behind another", () => {
    const world = new World({ seed: 5 });
    const [internet, middle, inside] = [world.link("internet", { delay: 10 }), world.link("middle"), world.link("in")];
    serve(world, internet);
    serve(world, internet, 6);
    const firewall = new InsideToOutside({ filtering: "address-and-port-dependent" });
    world
      .gateway("outer", { nat: strict })
      .outside(internet, "203.0.113.10", "2001:db8:1::1")
      .inside(middle, "10.1.0.1/24", "2001:db8:2::1/48");
    world
      .gateway("home", { nat: strict, firewall })
      .outside(middle, "10.1.0.2", "2001:db8:2::2")
      .inside(inside, "10.2.0.1/24", "2001:db8:2:1::1/64");
    const client = world.host("client").attach(inside, "2001:db8:2:1::2");
    const six = run(world, client, {}, 6);
    assert.deepEqual([said(six.filtering), said(six.layerEvidence.filterHops)], ["address-and-port-dependent", 1]);
    assert.equal(said(six.layers), "(no-nat)");
    const four = run(world, world.host("client").attach(inside, "10.2.0.2"));
    assert.deepEqual([said(four.layerEvidence.filterHops), said(four.layers)], [2, "probably-several"]);
  });
});

suite("RFC 5780 §3.5: lengths", () => {
  const found = (nat: Partial<NatBehavior>, mtu: number) => {
    const { longestDatagram, fragments } = discover([natBehavior(nat)], {}, { mtu });
    return longestDatagram.known ? [longestDatagram.value.bytes, longestDatagram.value.lost, said(fragments)] : [];
  };

  test("a narrow link whose router says nothing", () => {
    assert.deepEqual(found({}, 1500), [1500, undefined, true]);
    assert.deepEqual(found({}, 1492), [1492, 1500, true], "as PPPoE");
    assert.deepEqual(found({}, 1420), [1420, 1452, true], "as WireGuard");
    assert.deepEqual(found({}, 1300), [1280, 1400, true]);
  });

  test("RFC 8200 §5: over IPv6 no router cuts, and what is cut for the first link alone is lost", () => {
    for (const [mtu, longest, lost, fragments] of [
      [1500, 1500, undefined, true],
      [1480, 1480, 1492, false],
      [1280, 1280, 1400, false],
    ] as const) {
      const world = new World({ seed: 5 });
      const [internet, inside] = [world.link("internet", { delay: 10, mtu }), world.link("in")];
      serve(world, internet, 6);
      world.gateway("home").outside(internet, "2001:db8:1::1").inside(inside, "2001:db8:2::1/64");
      const report = run(world, world.host("client").attach(inside, "2001:db8:2::2"), {}, 6);
      assert.ok(report.longestDatagram.known);
      const { bytes, lost: next } = report.longestDatagram.value;
      assert.deepEqual([bytes, next, said(report.fragments)], [longest, lost, fragments], `${mtu}`);
    }
  });

  test("a NAT that drops fragments", () => {
    assert.deepEqual(found({ fragments: "drop" }, 1500), [1500, undefined, false]);
    assert.deepEqual(found({ fragments: "drop" }, 1452), [1452, 1480, false]);
  });
});
