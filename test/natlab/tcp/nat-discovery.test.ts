/** What the discovery client finds of a NAT over TCP, from Postern's server. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { natBehavior } from "../../../src/natlab/behavior.ts";
import { onlyPorts, withoutTcp } from "../../../src/natlab/firewall/port-rules.ts";
import { discovery } from "../../../src/natlab/oracle.ts";
import { World } from "../../../src/natlab/world.ts";
import { discover, run, said, serve } from "../discovery.ts";

const kinds = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;

suite("RFC 5780 §4.3, over TCP: the client finds the mapping that the oracle derives", () => {
  for (const mapping of kinds) {
    for (const filtering of kinds) {
      test(`${mapping} mapping, ${filtering} filtering`, () => {
        for (const ports of [{ kind: "preservation" }, { kind: "sequential", step: 2 }, { kind: "random" }] as const) {
          const nat = natBehavior({ mapping, filtering, ports });
          const report = discover([nat], { tcp: true });
          assert.equal(said(report.tcpMapping), discovery(nat).mapping, ports.kind);
          assert.equal(said(report.mapping), discovery(nat).mapping);
        }
      });
    }
  }
  test("of two NATs in a row the stricter; on a lossy path too", () => {
    const strict = natBehavior({ mapping: "address-and-port-dependent", ports: { kind: "random" } });
    for (const nats of [
      [strict, natBehavior()],
      [natBehavior(), strict],
    ]) {
      assert.equal(said(discover(nats, { tcp: true }).tcpMapping), "address-and-port-dependent");
    }
    assert.equal(said(discover([strict], { tcp: true }, { loss: 0.1 }).tcpMapping), "address-and-port-dependent");
  });
});

test("without TCP it says so; and where not every port passes", () => {
  for (const [firewall, expected] of [
    [withoutTcp, "(no-tcp)"],
    [onlyPorts({ tcp: [3478], udp: [{ min: 1, max: 65_535 }] }), "endpoint-independent"],
  ] as const) {
    const world = new World();
    const [internet, home] = [world.link("internet", { delay: 10 }), world.link("home")];
    serve(world, internet);
    const gateway = world.gateway("nat", { nat: natBehavior(), firewall });
    gateway.outside(internet, "203.0.113.10").inside(home, "192.168.1.1/24");
    const report = run(world, world.host("client").attach(home, "192.168.1.2"), { tcp: true });
    assert.equal(said(report.tcpMapping), expected);
  }
});
