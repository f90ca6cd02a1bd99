/**
 * Every NAT that nftables can be made into is classified correctly, through real kernels: by Postern's client, asking
 * Postern's server and coturn's, and by two clients that others wrote.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import type { BehaviorReport, Finding } from "../../src/core/stun/behavior/report.ts";
import type { NatName } from "../../src/lab/nats.ts";
import { Network } from "../../src/lab/network.ts";
import { type SiteDeclaration, serverAddresses } from "../../src/lab/topology.ts";
import { boundUdpSockets } from "../support/bound-sockets.ts";
import { type Child, runChild, startChild } from "../support/child.ts";
import { postern, type RunningDaemon, startDaemon } from "../support/daemon.ts";
import { peerPath, requirePeer, requirePrivilege } from "../support/peers.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";
import { through } from "./networks.ts";

const skip = requirePrivilege("root", "net-admin", "sys-admin") || requirePeer("ip", "nft");
const [server] = serverAddresses;
/** Seconds after which every NAT here forgets an idle socket. */
const udpTimeout = 4;

const [eim, adm, apdm] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;
const [eif, adf, apdf] = [eim, adm, apdm];
const hidden = "(hidden-by-filter)";
const [keeps, isRandom, inSequence] = [
  { pattern: "preserving" },
  { pattern: "random" },
  { pattern: "sequential", step: 1 },
] as const;

/** Mapping, filtering, RFC 3489's name, hairpinning, ports. */
const expected: Readonly<Record<NatName, readonly [string, string, string, string, object?]>> = {
  "port-restricted cone": [eim, apdf, "port-restricted-cone", "none", keeps],
  "port-restricted cone, other ports": [eim, apdf, "port-restricted-cone", "none", isRandom],
  "full cone": [eim, eif, "full-cone", "none", keeps],
  "restricted cone": [eim, adf, "restricted-cone", "none", keeps],
  "symmetric, random": [apdm, apdf, "symmetric", hidden, isRandom],
  "symmetric, in sequence": [apdm, apdf, "symmetric", hidden, inSequence],
  "mapping by address": [adm, apdf, "symmetric", hidden, isRandom],
  "hairpin, external source": [eim, eif, "full-cone", "external-source", keeps],
  "hairpin, internal source": [eim, eif, "full-cone", "internal-source", keeps],
};
const names = Object.keys(expected) as NatName[];

/** Where the rules are of TCP too. */
const tcpMappings: Readonly<Record<string, string>> = { "port-restricted cone": eim, "symmetric, random": apdm };

/**
 * What the client of RFC 3489 says. It asks two addresses, so it does not see whether a mapping depends on the port too;
 * where it depends on anything it says nothing of the filter; and "random" is any port that is not the inside one.
 */
const classic: Readonly<Record<NatName, string>> = {
  "port-restricted cone": "Independent Mapping, Port Dependent Filter, preserves ports, no hairpin",
  "port-restricted cone, other ports": "Independent Mapping, Port Dependent Filter, random port, no hairpin",
  "full cone": "Independent Mapping, Independent Filter, preserves ports, no hairpin",
  "restricted cone": "Independent Mapping, Address Dependent Filter, preserves ports, no hairpin",
  "symmetric, random": "Dependent Mapping, random port, no hairpin",
  "symmetric, in sequence": "Dependent Mapping, random port, no hairpin",
  "mapping by address": "Dependent Mapping, random port, no hairpin",
  "hairpin, external source": "Independent Mapping, Independent Filter, preserves ports, will hairpin",
  "hairpin, internal source": "Independent Mapping, Independent Filter, preserves ports, will hairpin",
};

const dependence: Readonly<Record<string, string>> = {
  [eim]: "Endpoint Independent",
  [adm]: "Address Dependent",
  [apdm]: "Address and Port Dependent",
};

function said<T>(finding: Finding<T>): T | string {
  return finding.known ? finding.value : `(${finding.why})`;
}

function homeOf(name: string, gateway: SiteDeclaration["gateways"][0]): SiteDeclaration {
  return { name, hosts: [`host: ${name}`], gateways: [gateway] };
}

describe("homes behind NATs of nftables", { skip, concurrency: names.length + 1 }, () => {
  let network: Network;
  let daemon: RunningDaemon;
  let coturn: Child | undefined;
  let coturnPort = 0;

  before(async () => {
    const sites = names.map((nat) => homeOf(nat, { nat, udpTimeout }));
    const blocked = homeOf("UDP blocked", { nat: "port-restricted cone", firewall: "UDP blocked" });
    network = await Network.build({ outside: ["server"], sites: [...sites, blocked] });
    const flags = ["--nat-discovery", "auto"];
    daemon = await startDaemon({ listen: serverAddresses, flags, through: through(network.at("server")) });
    if (peerPath("turnserver") !== undefined) await startCoturn();
  });
  after(async () => {
    await coturn?.stop();
    await daemon?.[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
  });

  async function startCoturn(): Promise<void> {
    const alternate = await freePort();
    coturnPort = await freePort();
    const listen = serverAddresses.flatMap((address) => ["-L", address]);
    const ports = ["-p", `${coturnPort}`, "--alt-listening-port", `${alternate}`, "--no-tls", "--no-dtls"];
    const quiet = ["-n", "--no-cli", "--log-file", "stdout", "--pidfile", "/dev/null"];
    const started = await startChild([...at("server"), peerPath("turnserver")!, ...quiet, ...listen, ...ports]);
    coturn = started;
    const bound = (port: number) => boundUdpSockets({ low: port, high: port }, started.pid);
    await until("coturn to listen", () => bound(coturnPort) >= 2 && bound(alternate) >= 2);
  }

  const at = (host: string) => through(network.at(host));

  async function discover(home: string, options = {}, port = daemon.ports.port): Promise<BehaviorReport> {
    const script = new URL("discover.ts", import.meta.url).pathname;
    const host = `host: ${home}`;
    const args = [script, network.addressOf(host), `${server}:${port}`, JSON.stringify(options)];
    return JSON.parse(await runChild([...at(host), process.execPath, ...args], { within: 120_000 })) as BehaviorReport;
  }

  async function output(home: string, peer: "stun" | "turnutils_natdiscovery", ...args: string[]): Promise<string> {
    const child = await startChild([...at(`host: ${home}`), peerPath(peer)!, ...args]);
    await child.ended({ within: 60_000 });
    return child.output();
  }

  function natDiscovery(home: string, port: number, ...flags: string[]): Promise<string> {
    const local = network.addressOf(`host: ${home}`);
    return output(home, "turnutils_natdiscovery", ...flags, "-L", local, "-p", `${port}`, server);
  }

  function assertFindings(report: BehaviorReport, nat: NatName): void {
    const { mapping, filtering, classicName, hairpinning, ports } = report;
    assert.deepEqual(
      [mapping, filtering, classicName, hairpinning, ports].map((one) => said<unknown>(one)),
      expected[nat],
    );
    const outside = network.plan.gateways.find(({ site }) => site === nat)?.outside;
    assert.deepEqual(report.publicAddresses.map(formatIp), [outside]);
    assert.equal(said(report.rewritten), false);
  }

  for (const nat of names) {
    const [mapping, filtering, , hairpinning] = expected[nat];
    describe(nat, { concurrency: 1 }, () => {
      test("RFC 5780 §4.3, §4.4: what Postern's server answers tells what it is", async () => {
        const report = await discover(nat, { tcp: nat in tcpMappings });
        assertFindings(report, nat);
        if (nat in tcpMappings) assert.equal(said(report.tcpMapping), tcpMappings[nat]);
      });

      test("coturn's server gives the same findings", { skip: requirePeer("turnserver") }, async () => {
        assertFindings(await discover(nat, {}, coturnPort), nat);
      });

      test("RFC 5780 §4.6: its own time-out is found", async () => {
        const report = await discover(nat, { lifetime: { first: 3, longest: 30, precision: 2 } });
        assert.ok(report.lifetime.known, said(report.lifetime) as string);
        const { atLeast, below = 0, refreshedByOutbound, refreshedByInbound } = report.lifetime.value;
        assert.ok(atLeast <= udpTimeout + 1 && below >= udpTimeout, `${atLeast} to ${below}`);
        assert.deepEqual([refreshedByOutbound, refreshedByInbound].map(said), [true, true]);
      });

      test("coturn's client agrees", { skip: requirePeer("turnutils_natdiscovery") }, async () => {
        const { port } = daemon.ports;
        const [behavior, hairpin, longer, shorter] = await Promise.all([
          natDiscovery(nat, port, "-m", "-f"),
          natDiscovery(nat, port, "-H"),
          natDiscovery(nat, port, "-t", "-T", `${udpTimeout + 2}`),
          natDiscovery(nat, port, "-t", "-T", `${udpTimeout - 2}`),
        ]);
        // For its last test it takes OTHER-ADDRESS from the second answer, not the first. RFC 5780 §7.4: that is the
        // address that the second answer did not come from, so it asks the first address again, of which the mapping is
        // another. coturn's server names its second address whichever was asked.
        const last = nat === "mapping by address" ? apdm : mapping;
        assert.match(behavior, new RegExp(`NAT with ${dependence[last]} Mapping!`));
        assert.match(behavior, new RegExp(`NAT with ${dependence[filtering]} Filtering!`));
        // It does not look at the source, and where a filter hides hairpinning it hears as little as where there is none.
        assert.equal(/a successful hairpinning/.test(hairpin), /source/.test(hairpinning));
        // It draws no conclusion: the second answer, to the first socket's port, comes or not.
        assert.match(longer, /response 1[\s\S]*timeout/);
        assert.match(shorter, /response 2/);
      });

      test("the client of RFC 3489 agrees", { skip: requirePeer("stun") }, async () => {
        const found = await output(nat, "stun", `${server}:${daemon.ports.port}`, "-v");
        assert.equal(/^Primary: (.*?)\s*$/m.exec(found)?.[1], classic[nat]);
      });

      if (nat === "mapping by address") {
        test("coturn's client agrees when it asks coturn", { skip: requirePeer("turnserver") }, async () => {
          assert.match(await natDiscovery(nat, coturnPort, "-m"), /NAT with Address Dependent Mapping!/);
        });
      }

      if (nat === "symmetric, random") {
        test("postern check says it in words, and its exit status says that calls fail", async () => {
          const uri = `stun:${server}:${daemon.ports.port}`;
          const child = await startChild([...at(`host: ${nat}`), ...postern("check", uri)]);
          assert.equal((await child.ended({ within: 60_000 })).code, 2);
          assert.match(child.output(), /symmetric NAT/);
          assert.match(child.output(), /Direct calls over IPv4 to most others behind a NAT/);
        });
      }
    });
  }

  describe("UDP blocked", { concurrency: 1 }, () => {
    test("no server answers, and nothing is claimed", async () => {
      const ports = [daemon.ports.port, ...(coturn === undefined ? [] : [coturnPort])];
      for (const port of ports) {
        const { classicName, mapping, filtering } = await discover("UDP blocked", {}, port);
        assert.deepEqual([classicName, mapping, filtering].map(said), Array(3).fill("(no-answer)"));
      }
    });

    test("coturn's client claims nothing either", { skip: requirePeer("turnutils_natdiscovery") }, async () => {
      const found = await natDiscovery("UDP blocked", daemon.ports.port, "-m", "-f");
      assert.match(found, /STUN receive timeout/);
      assert.doesNotMatch(found, /NAT with/);
    });

    test("the client of RFC 3489 says so", { skip: requirePeer("stun") }, async () => {
      const found = await output("UDP blocked", "stun", `${server}:${daemon.ports.port}`, "-v");
      assert.match(found, /Primary: Blocked or could not reach STUN server/);
    });
  });
});
