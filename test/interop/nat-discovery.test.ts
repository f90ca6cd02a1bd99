/** Every NAT that nftables can be made into is classified correctly, through real kernels. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import type { BehaviorReport, Finding } from "../../src/core/stun/behavior/report.ts";
import { boundUdpSockets } from "../support/bound-sockets.ts";
import { runChild, startChild } from "../support/child.ts";
import { postern, type RunningDaemon, startDaemon } from "../support/daemon.ts";
import { peerPath, requirePeer, requirePrivilege } from "../support/peers.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";
import { HomeNetwork, servers, type Variant } from "./nat-variants.ts";

const skip = requirePrivilege("root", "net-admin", "sys-admin") || requirePeer("ip", "nft");

function said<T>(finding: Finding<T>): T | string {
  return finding.known ? finding.value : `(${finding.why})`;
}

const [eim, adm, apdm] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;
const [eif, adf, apdf] = [eim, adm, apdm];

const expected: Readonly<Record<Exclude<Variant, "UDP blocked">, readonly string[]>> = {
  "port-restricted cone": [eim, apdf, "port-restricted-cone", "none"],
  "port-restricted cone, other ports": [eim, apdf, "port-restricted-cone", "none"],
  "full cone": [eim, eif, "full-cone", "none"],
  "restricted cone": [eim, adf, "restricted-cone", "none"],
  "symmetric, random": [apdm, apdf, "symmetric", "(hidden-by-filter)"],
  "symmetric, in sequence": [apdm, apdf, "symmetric", "(hidden-by-filter)"],
  "mapping by address": [adm, apdf, "symmetric", "(hidden-by-filter)"],
  "hairpin, external source": [eim, eif, "full-cone", "external-source"],
  "hairpin, internal source": [eim, eif, "full-cone", "internal-source"],
};

/** Where the rules are of TCP too. */
const tcpMappings: Readonly<Record<string, string>> = { "port-restricted cone": eim, "symmetric, random": apdm };

describe("a home behind a NAT of nftables", { skip }, () => {
  let network: HomeNetwork;
  let daemon: RunningDaemon;
  before(async () => {
    network = await HomeNetwork.make();
    const flags = ["--nat-discovery", "auto"];
    daemon = await startDaemon({ listen: servers, flags, through: network.on("server") });
  });
  after(async () => {
    await daemon?.[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
  });

  async function discover(options = {}, port = daemon.ports.port): Promise<BehaviorReport> {
    const script = new URL("discover.ts", import.meta.url).pathname;
    const server = `${servers[0]}:${port}`;
    const command = [...network.on("client"), process.execPath, script, "10.0.0.2", server, JSON.stringify(options)];
    return JSON.parse(await runChild(command, { within: 120_000 })) as BehaviorReport;
  }

  for (const [variant, [mapping, filtering, name, hairpinning]] of Object.entries(expected)) {
    test(`RFC 5780 §4.3, §4.4: ${variant}`, async () => {
      await network.setNat(variant as Variant);
      const report = await discover({ tcp: variant in tcpMappings });
      assert.deepEqual(report.publicAddresses.map(formatIp), ["203.0.113.10"]);
      assert.equal(said(report.mapping), mapping);
      assert.equal(said(report.filtering), filtering);
      assert.equal(said(report.classicName), name);
      assert.equal(said(report.hairpinning), hairpinning);
      assert.equal(said(report.rewritten), false);
      if (variant in tcpMappings) assert.equal(said(report.tcpMapping), tcpMappings[variant]);
      const ports = said(report.ports);
      if (variant === "port-restricted cone") assert.deepEqual(ports, { pattern: "preserving" });
      if (variant === "symmetric, random") assert.deepEqual(ports, { pattern: "random" });
      if (variant === "symmetric, in sequence") assert.deepEqual(ports, { pattern: "sequential", step: 1 });
    });
  }

  test("coturn's server gives the same findings", { skip: requirePeer("turnserver") }, async () => {
    const [port, alternate] = [await freePort(), await freePort()];
    const listen = servers.flatMap((address) => ["-L", address]);
    const ports = ["-p", `${port}`, "--alt-listening-port", `${alternate}`, "--no-tls", "--no-dtls"];
    const quiet = ["-n", "--no-cli", "--log-file", "stdout", "--pidfile", "/dev/null"];
    const coturn = await startChild([...network.on("server"), peerPath("turnserver")!, ...quiet, ...listen, ...ports]);
    try {
      const bound = (at: number) => boundUdpSockets({ low: at, high: at }, coturn.pid);
      await until("coturn to listen", () => bound(port) >= 2 && bound(alternate) >= 2);
      for (const variant of ["full cone", "restricted cone", "symmetric, random", "mapping by address"] as const) {
        await network.setNat(variant);
        const { mapping, filtering, classicName, hairpinning } = await discover({}, port);
        assert.deepEqual([mapping, filtering, classicName, hairpinning].map(said), expected[variant], variant);
      }
    } finally {
      await coturn.stop();
    }
  });

  test("where UDP is blocked no server answers, and nothing is claimed", async () => {
    await network.setNat("UDP blocked");
    const report = await discover();
    assert.equal(said(report.classicName), "(no-answer)");
  });

  test("RFC 5780 §4.6: the kernel's own time-out is found", async () => {
    await network.setNat("port-restricted cone");
    await network.setUdpTimeout(4);
    const report = await discover({ lifetime: { first: 3, longest: 30, precision: 2 } });
    assert.ok(report.lifetime.known, said(report.lifetime) as string);
    const { atLeast, below = 0, refreshedByOutbound } = report.lifetime.value;
    // Conntrack counts in whole seconds or so, from the last packet.
    assert.ok(atLeast <= 5 && below >= 4, `${atLeast} to ${below}`);
    assert.equal(said(refreshedByOutbound), true);
  });

  test("postern check says it in words, and its exit status says that calls fail", async () => {
    await network.setNat("symmetric, random");
    const uri = `stun:${servers[0]}:${daemon.ports.port}`;
    const child = await startChild([...network.on("client"), ...postern("check", uri)]);
    assert.equal((await child.ended({ within: 60_000 })).code, 2);
    assert.match(child.output(), /symmetric NAT/);
    assert.match(child.output(), /Direct calls over IPv4 to most others behind a NAT/);
  });

  for (const [variant, found] of [
    ["full cone", [/Endpoint Independent Mapping/i, /Endpoint Independent Filtering/i]],
    ["port-restricted cone", [/Endpoint Independent Mapping/i, /Address and Port Dependent Filtering/i]],
    ["symmetric, random", [/Address and Port Dependent Mapping/i, /Address and Port Dependent Filtering/i]],
  ] as const) {
    test(`coturn's client agrees: ${variant}`, { skip: requirePeer("turnutils_natdiscovery") }, async () => {
      await network.setNat(variant);
      const program = peerPath("turnutils_natdiscovery")!;
      const args = ["-m", "-f", "-L", "10.0.0.2", "-p", `${daemon.ports.port}`, servers[0]];
      const child = await startChild([...network.on("client"), program, ...args]);
      await child.ended({ within: 60_000 });
      for (const words of found) assert.match(child.output(), words);
    });
  }
});
