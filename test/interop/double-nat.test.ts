/** NATs in a row, long datagrams and a real NAT-PMP responder, through real kernels. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import type { BehaviorReport, Finding } from "../../src/core/stun/behavior/report.ts";
import { boundUdpSockets } from "../support/bound-sockets.ts";
import { type Child, runChild, startChild } from "../support/child.ts";
import { postern, type RunningDaemon, startDaemon } from "../support/daemon.ts";
import { peerPath, requirePeer, requirePrivilege } from "../support/peers.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";
import { boxes, client, client6, DoubleNat, faults, servers, servers6 } from "./double-nat.ts";

const skip = requirePrivilege("root", "net-admin", "sys-admin") || requirePeer("ip", "nft");
const { nat, router, firewall } = boxes;

function said<T>(finding: Finding<T>): T | string {
  return finding.known ? finding.value : `(${finding.why})`;
}

async function discover(
  network: DoubleNat,
  port: number,
  options = {},
  [from, to]: readonly [string, string] = [client, servers[0]],
): Promise<BehaviorReport> {
  const script = new URL("discover.ts", import.meta.url).pathname;
  const server = to.includes(":") ? `[${to}]:${port}` : `${to}:${port}`;
  const command = [...network.on("client"), process.execPath, script, from, server, JSON.stringify(options)];
  return JSON.parse(await runChild(command, { within: 60_000 })) as BehaviorReport;
}

async function serve(network: DoubleNat): Promise<RunningDaemon> {
  const flags = ["--nat-discovery", "auto"];
  return await startDaemon({ listen: [...servers, ...servers6], flags, through: network.on("server") });
}

describe("a home behind a carrier, of nftables", { skip }, () => {
  let network: DoubleNat;
  let daemon: RunningDaemon;
  before(async () => {
    network = await DoubleNat.make("100.64.1");
    daemon = await serve(network);
  });
  after(async () => {
    await daemon?.[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
  });

  for (const [title, home, carrier, hops, layers, seen] of [
    ["the home's NAT alone", nat, router, 1, "(no-evidence)", "100.64.1.2"],
    ["a NAT behind a NAT", nat, nat, 2, "probably-several", "203.0.113.10"],
    ["a router, and a NAT behind it", router, nat, 2, "probably-several", "203.0.113.10"],
  ] as const) {
    test(`RFC 4787 §5: ${title}`, async () => {
      await network.set("home", home);
      await network.set("carrier", carrier);
      const report = await discover(network, daemon.ports.port, { gateway: true });
      assert.deepEqual(report.publicAddresses.map(formatIp), [seen]);
      assert.equal(said(report.classicName), "port-restricted-cone");
      assert.equal(said(report.layerEvidence.filterHops), hops);
      assert.equal(said(report.layerEvidence.gatewayAddress), "(gateway-silent)");
      assert.equal(said(report.layers), layers);
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
      await network.set("home", nat);
      for (const [carrier, hops] of [
        [router, 1],
        [nat, 2],
      ] as const) {
        await network.set("carrier", carrier);
        const { layerEvidence, longestDatagram, fragments } = await discover(network, port);
        assert.equal(said(layerEvidence.filterHops), hops);
        assert.ok(longestDatagram.known);
        assert.deepEqual([longestDatagram.value, said(fragments)], [{ bytes: 1500, passes: "both-ways" }, true]);
      }
      // Its answers are longer than any request, and need fragments.
      await network.set("carrier", router, faults.fragments);
      const { longestDatagram, fragments } = await discover(network, port);
      assert.deepEqual([said(longestDatagram), said(fragments)], ["(no-long-answer)", "(no-long-answer)"]);
    } finally {
      await coturn.stop();
    }
  });

  test("postern check says it in words", async () => {
    await network.set("home", nat);
    await network.set("carrier", nat);
    const command = postern("check", `stun:${servers[0]}:${daemon.ports.port}`);
    const child = await startChild([...network.on("client"), ...command]);
    assert.equal((await child.ended({ within: 60_000 })).code, 0, child.output());
    assert.match(child.output(), /NATs +the outermost is 2 hops away: .*behind another NAT/);
    assert.match(child.output(), /datagrams +up to 1500 bytes pass; fragments pass/);
  });

  for (const [place, rules, hops] of [
    ["the home", [firewall, router], 1],
    ["the carrier", [router, firewall], 2],
  ] as const) {
    test(`RFC 6092 §3: a firewall for IPv6 at ${place}`, async () => {
      await network.set("home", rules[0]);
      await network.set("carrier", rules[1]);
      const report = await discover(network, daemon.ports.port, {}, [client6, servers6[0]]);
      assert.deepEqual([said(report.translated), said(report.filtering)], [false, "address-and-port-dependent"]);
      assert.deepEqual([said(report.layerEvidence.filterHops), said(report.layers)], [hops, "(no-nat)"]);
    });
  }

  test("RFC 5780 §3.5: where routers tell, Linux sends in fragments, and every length passes", async () => {
    await network.set("home", nat);
    await network.set("carrier", router);
    await network.setMtu(1420);
    const { longestDatagram, fragments } = await discover(network, daemon.ports.port);
    assert.ok(longestDatagram.known);
    assert.deepEqual([longestDatagram.value.bytes, said(fragments)], [1500, true]);
  });

  test("RFC 5780 §3.5: where they are silent, what is too long for a tunnel is lost; fragments are not", async () => {
    await network.set("home", nat);
    await network.set("carrier", router, faults.silent);
    await network.setMtu(1420);
    await network.forgetPaths();
    const { longestDatagram, fragments } = await discover(network, daemon.ports.port);
    assert.ok(longestDatagram.known);
    assert.deepEqual([longestDatagram.value.bytes, longestDatagram.value.lost, said(fragments)], [1420, 1452, true]);
  });

  test("RFC 5780 §3.5: where fragments are lost, all that needs them is", async () => {
    await network.set("home", nat);
    await network.set("carrier", router, faults.fragments);
    await network.setMtu(1500);
    await network.forgetPaths();
    const { longestDatagram, fragments } = await discover(network, daemon.ports.port);
    assert.ok(longestDatagram.known);
    assert.deepEqual(
      [longestDatagram.value.bytes, longestDatagram.value.lost, said(fragments)],
      [1500, undefined, false],
    );
  });
});

/** Real routers: they answer with the address of their outer interface, but never with a private one. */
describe("miniupnpd in the home router", { skip: skip || requirePeer("miniupnpd") }, () => {
  /** Given out to hosts of a ministry alone; carriers have used it behind their NATs. */
  const borrowed = "25.64.1";
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "postern-miniupnpd-"));
  });
  after(() => rm(directory, { recursive: true }));

  async function responder(network: DoubleNat): Promise<Child> {
    const configuration = join(directory, "miniupnpd.conf");
    await writeFile(configuration, "ext_ifname=out\nlistening_ip=in\nenable_natpmp=yes\nenable_upnp=no\n");
    const files = ["-f", configuration, "-P", join(directory, "pid")];
    const child = await startChild([...network.on("home"), peerPath("miniupnpd")!, "-d", ...files]);
    await until("miniupnpd to listen", () => child.output().includes("Listening for NAT-PMP"));
    return child;
  }

  async function layersIn(between: string, carrier: string): Promise<BehaviorReport> {
    await using network = await DoubleNat.make(between);
    await network.set("home", nat);
    await network.set("carrier", carrier);
    await using daemon = await serve(network);
    const child = await responder(network);
    try {
      return await discover(network, daemon.ports.port, { gateway: true });
    } finally {
      await child.stop();
    }
  }

  test("RFC 6886 §3.2: it names the address that servers see: one NAT", async () => {
    const { layers, layerEvidence } = await layersIn(borrowed, router);
    assert.ok(layerEvidence.gatewayAddress.known, said(layerEvidence.gatewayAddress) as string);
    assert.equal(formatIp(layerEvidence.gatewayAddress.value), "25.64.1.2");
    assert.equal(said(layers), "one");
  });

  test("RFC 6886 §3.2: it names another, and the outermost filter is further out: probably several", async () => {
    const { layers, layerEvidence } = await layersIn(borrowed, nat);
    assert.ok(layerEvidence.gatewayAddress.known, said(layerEvidence.gatewayAddress) as string);
    assert.equal(formatIp(layerEvidence.gatewayAddress.value), "25.64.1.2");
    assert.equal(said(layers), "probably-several");
  });

  test("RFC 6886 §3.5: behind a carrier's shared address it says that it has none", async () => {
    const { layers, layerEvidence } = await layersIn("100.64.1", nat);
    assert.equal(said(layerEvidence.gatewayAddress), "(gateway-without-address)");
    assert.equal(said(layers), "probably-several");
  });
});
