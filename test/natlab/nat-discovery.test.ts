/**
 * What the discovery client finds out in natlab, from Postern's server, is what the oracle derives from the NAT's
 * declared properties: two pieces of code that know nothing of each other.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import type { DiscoveryTests } from "../../src/core/stun/behavior/discover.ts";
import { NatDiscovery } from "../../src/core/stun/behavior/nat-discovery.ts";
import type { BehaviorReport, Finding } from "../../src/core/stun/behavior/report.ts";
import { type NatBehavior, natBehavior } from "../../src/natlab/behavior.ts";
import { discovery, inSeries } from "../../src/natlab/oracle.ts";
import type { UdpSocket } from "../../src/natlab/udp-socket.ts";
import { World } from "../../src/natlab/world.ts";
import { PosternService } from "../core/stun/behavior/small-world.ts";

const kinds = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;

/** NATs from the outermost to the innermost. */
function discover(nats: readonly NatBehavior[], tests: Partial<DiscoveryTests> = {}, loss = 0): BehaviorReport {
  const world = new World({ seed: 5 });
  const internet = world.link("internet", { delay: 10, loss });
  serve(world, internet);
  let link = internet;
  let outside = "203.0.113.10";
  for (const [i, nat] of nats.entries()) {
    const inside = world.link(`inside-${i}`, { delay: 1 });
    world.gateway(`nat-${i}`, { nat }).outside(link, outside).inside(inside, `10.${i}.0.1/24`);
    link = inside;
    outside = `10.${i}.0.2`;
  }
  return run(world, world.host("client").attach(link, outside), tests);
}

function serve(world: World, internet: ReturnType<World["link"]>): void {
  const service = new PosternService(["198.51.100.1", "198.51.100.2"]);
  const server = world.host("server").attach(internet, "198.51.100.1", "198.51.100.2");
  const sockets = service.addresses.map((one) => server.socket({ address: formatIp(one), port: one.port }));
  for (const socket of sockets) {
    socket.onMessage = (data, from) => {
      for (const reply of service.answer(data, from, socket.address, world.now)) {
        sockets[service.addresses.indexOf(reply.from)]?.send(reply.data, reply.to);
      }
    };
  }
}

function run(world: World, client: ReturnType<World["host"]>, tests: Partial<DiscoveryTests>): BehaviorReport {
  const [server] = new PosternService(["198.51.100.1"], [3478]).addresses;
  const config = { family: 4, servers: [server!], tests: { tcp: false, lifetime: undefined, ...tests } } as const;
  const machine = new NatDiscovery(config, world.random());
  const sockets = new Map<number, UdpSocket>();
  let report: BehaviorReport | undefined;
  const alarm = world.alarm(() => input(() => machine.handleTimeout(world.now)));
  const input = (mutate: () => void): void => {
    mutate();
    for (let output = machine.pollOutput(); output !== undefined; output = machine.pollOutput()) {
      if (output.kind === "report") report = output.report;
      else if (output.kind === "send") sockets.get(output.socket)?.send(output.data, output.to);
      else if (output.kind === "close") sockets.get(output.socket)?.close();
      else if (output.kind === "open") {
        const { socket } = output;
        const opened = client.socket();
        opened.onMessage = (data, from) => input(() => machine.handleMessage(socket, data, from, world.now));
        sockets.set(socket, opened);
        world.at(world.now, () => input(() => machine.handleOpened(socket, opened.address, world.now)));
      }
    }
    alarm.follow(machine.pollTimeout());
  };
  input(() => machine.start(world.now));
  world.settle(7_200_000);
  assert.ok(report, "there is a report");
  return report;
}

function said<T>(finding: Finding<T>): T | string {
  return finding.known ? finding.value : `(${finding.why})`;
}

suite("the client finds what the oracle derives", () => {
  for (const mapping of kinds) {
    for (const filtering of kinds) {
      test(`RFC 5780 §4: ${mapping} mapping, ${filtering} filtering`, () => {
        for (const hairpin of ["none", "internal", "external"] as const) {
          for (const ports of [
            { kind: "preservation" },
            { kind: "sequential", step: 2 },
            { kind: "random" },
          ] as const) {
            const nat = natBehavior({ mapping, filtering, hairpin, ports, parity: false });
            const oracle = discovery(nat);
            const report = discover([nat]);
            const what = `${hairpin} ${ports.kind}`;
            assert.equal(said(report.mapping), oracle.mapping, what);
            assert.equal(said(report.filtering), oracle.filtering, what);
            assert.equal(said(report.classicName), oracle.classic.replaceAll(" ", "-"), what);
            const found = report.hairpinning.known ? report.hairpinning.value : undefined;
            const expected = hairpin === "none" ? "none" : `${hairpin}-source`;
            if (found === undefined) assert.equal(said(report.hairpinning), "(hidden-by-filter)");
            else assert.equal(found, expected, what);
            if (mapping === "endpoint-independent") assert.equal(found, expected, what);
            const seen = report.ports.known ? report.ports.value : assert.fail(what);
            if (oracle.ports === "preserved") assert.equal(seen.pattern, "preserving", what);
            else if (oracle.ports === "unpredictable") assert.notEqual(seen.pattern, "preserving", what);
            else assert.deepEqual(seen, { pattern: "sequential", step: oracle.ports }, what);
          }
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
    const report = discover([nat], {}, 0.1);
    assert.deepEqual([said(report.mapping), said(report.filtering)], ["address-dependent", "address-dependent"]);
  });
});
