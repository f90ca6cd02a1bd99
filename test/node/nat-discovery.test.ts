import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, test } from "node:test";
import { formatAddress, parseIp } from "../../src/core/base/address.ts";
import { known, unknown } from "../../src/core/stun/behavior/report.ts";
import { localAddressToward } from "../../src/node/local-address.ts";
import { discoverNat } from "../../src/node/nat-discovery.ts";
import { boundUdpSockets } from "../support/bound-sockets.ts";
import { startChild } from "../support/child.ts";
import { startDaemon } from "../support/daemon.ts";
import { peerPath, requirePeer } from "../support/peers.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";

const local = parseIp("127.0.0.1")!;
const both = ["127.0.0.1", "127.0.0.2"];

async function startDiscovering() {
  const alternate = await freePort();
  const flags = ["--nat-discovery", "auto", "--alternate-port", `${alternate}`];
  return { alternate, daemon: await startDaemon({ listen: both, flags }) };
}

describe("on real sockets", () => {
  test("Postern's server: all there is to find out on loopback, and every stage told", async () => {
    const { daemon } = await startDiscovering();
    await using _ = daemon;
    const stages: string[] = [];
    const report = await discoverNat({
      local,
      servers: [parseIp("127.0.0.1", daemon.ports.port)!],
      tcp: true,
      onStage: (stage) => stages.push(stage),
    });
    assert.deepEqual(report.classicName, known("open"));
    assert.deepEqual(report.filtering, known("endpoint-independent"));
    assert.deepEqual(report.tcpMapping, known("endpoint-independent"));
    assert.deepEqual(report.rewritten, known(false));
    assert.deepEqual(report.longestDatagram, known({ bytes: 1500, passes: "both-ways", lost: undefined }));
    assert.deepEqual(report.fragments, known(true));
    assert.deepEqual(report.layers, unknown("no-nat"));
    assert.deepEqual(stages, ["reachability", "ports", "mapping-and-filtering", "lengths", "tcp"]);
  });

  test("coturn's server, on two addresses", { skip: requirePeer("turnserver") }, async () => {
    const [port, alternate] = [await freePort(), await freePort()];
    const listen = both.flatMap((address) => ["-L", address]);
    const ports = ["-p", `${port}`, "--alt-listening-port", `${alternate}`, "--no-tls", "--no-dtls"];
    const quiet = ["-n", "--no-cli", "--log-file", "stdout", "--pidfile", "/dev/null"];
    const coturn = await startChild([peerPath("turnserver")!, ...quiet, ...listen, ...ports]);
    try {
      const bound = (at: number) => boundUdpSockets({ low: at, high: at }, coturn.pid);
      await until("coturn to listen", () => bound(port) >= 2 && bound(alternate) >= 2);
      const report = await discoverNat({ local, servers: [parseIp("127.0.0.1", port)!], tcp: true });
      const other = report.servers[0]?.other;
      assert.equal(other && formatAddress(other), `127.0.0.2:${alternate}`);
      assert.deepEqual(report.classicName, known("open"));
      assert.deepEqual(report.tcpMapping, known("endpoint-independent"));
    } finally {
      await coturn.stop();
    }
  });

  const agree = { skip: requirePeer("turnutils_natdiscovery") };
  test("coturn's client finds out the same from Postern's server", agree, async () => {
    const { daemon } = await startDiscovering();
    await using _ = daemon;
    const program = peerPath("turnutils_natdiscovery")!;
    const args = ["-m", "-f", "-L", "127.0.0.1", "-p", `${daemon.ports.port}`, "127.0.0.1"];
    const client = await startChild([program, ...args]);
    await client.ended();
    assert.match(client.output(), /NAT with Endpoint Independent Mapping|No NAT detected/i);
    assert.match(client.output(), /Endpoint Independent Filtering/i);
  });

  test("the signal ends it at once, and nothing stays open", async () => {
    const silent = createSocket("udp4").bind(0, "127.0.0.1");
    await once(silent, "listening");
    const stop = new AbortController();
    const servers = [parseIp("127.0.0.1", silent.address().port)!];
    const running = discoverNat({ local, servers, signal: stop.signal });
    await once(silent, "message");
    stop.abort(new Error("enough"));
    await assert.rejects(running, /enough/);
    await assert.rejects(discoverNat({ local, servers, signal: stop.signal }), /enough/);
    silent.close();
    assert.ok(!process.getActiveResourcesInfo().includes("UDPWRAP"), "every socket is closed");
  });

  test("the address that packets would leave from", async () => {
    assert.deepEqual(await localAddressToward(parseIp("127.0.0.9", 3478)!), parseIp("127.0.0.1"));
  });
});
