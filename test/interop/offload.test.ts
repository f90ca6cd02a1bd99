/**
 * Flows that the kernel forwards by itself, on real links: a client and a peer on networks of their own, and between them
 * Postern. What arrives is verified by tshark, and what user space saw of it by its counters.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Namespace } from "../../src/lab/namespace.ts";
import { type Child, startChild } from "../support/child.ts";
import { peerPath, requirePeer } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { Endpoint } from "./endpoints.ts";
import { through } from "./networks.ts";
import {
  type Allocated,
  at,
  channel,
  type Family,
  hasHeard,
  OffloadNetwork,
  port,
  requireOffload,
  type Served,
  user,
} from "./offload-network.ts";
import { messageBytes, messages, runUclient } from "./uclient.ts";

const skip = requireOffload() || requirePeer("dumpcap", "tshark", "turnutils_uclient", "turnutils_peer");

const counters = ["to_peers", "to_clients"].flatMap((way) => [
  `relayed_packets_${way}_total`,
  `relayed_bytes_${way}_total`,
]);

const texts = (count: number, length = 20) =>
  Array.from({ length: count }, (_, i) => `${i} `.padEnd(length + (i % 7), "relayed by the kernel "));

/** What arrives at a host, until it is so many packets. */
class Capture {
  readonly #child: Child;
  readonly #file: string;
  readonly #host: string;

  private constructor(child: Child, file: string, host: string) {
    this.#child = child;
    this.#file = file;
    this.#host = host;
  }

  static async start(place: Namespace, device: string, host: string, count: number, file: string): Promise<Capture> {
    const what = ["-i", device, "-f", `udp and dst host ${host}`, "-c", String(count)];
    const child = await startChild([...through(place), peerPath("dumpcap")!, ...what, "-w", file]);
    await until("the capture to begin", () => /^File: /m.test(child.output()), { within: 60_000 });
    return new Capture(child, file, host);
  }

  /** Of each: whether the checksums of UDP and IPv4 are good, and the hop limit. */
  async packets(): Promise<{ good: boolean; hops: number }[]> {
    await this.#child.ended();
    const fields = this.#host.includes(":") ? ["ipv6.hlim"] : ["ip.ttl", "ip.checksum.status"];
    const reader = await startChild([
      ...[peerPath("tshark")!, "-r", this.#file, "-T", "fields", "-E", "separator=,"],
      ...["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"],
      ...["udp.checksum.status", ...fields].flatMap((field) => ["-e", field]),
    ]);
    await reader.ended({ within: 60_000 });
    const lines = reader.output().match(/^\d+(,\d+)+$/gm) ?? assert.fail(reader.output());
    return lines.map((line) => {
      const [udp, hops, ip = 1] = line.split(",").map(Number) as [number, number, number?];
      return { good: udp === 1 && ip === 1, hops };
    });
  }
}

describe("flows that the kernel forwards", { skip }, () => {
  let network: OffloadNetwork;
  let directory: string;
  let server: Served;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "postern-offload-"));
    network = await OffloadNetwork.open();
    server = await network.start();
    await until("the program to be loaded", () => server.told("offload-is-on"));
  });
  after(async () => {
    await network?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const allocated = (from: Family, to: Family) => network.allocated(server, from, to);

  for (const [from, to] of [
    [4, 4],
    [6, 6],
    [4, 6],
    [6, 4],
  ] as const) {
    test(`IPv${from} to IPv${to} and back: all arrives, checksums right, and user space sees none of it`, async () => {
      const { one, end } = await allocated(from, to);
      const [seen, ...relayed] = await server.metrics("udp_packets_in_total", ...counters);
      const captures = await Promise.all([
        Capture.start(network.peer, "p0", at.peer[to], 200, join(directory, `p${from}${to}.pcap`)),
        Capture.start(network.client, "c0", at.client[from], 200, join(directory, `c${from}${to}.pcap`)),
      ]);
      const sent = texts(200);
      const bytes = sent.reduce((total, text) => total + text.length, 0);
      await one.ask({ do: "relay", to: channel, texts: sent });
      await one.hears(sent);
      for (const capture of captures) {
        const arrived = await capture.packets();
        assert.equal(arrived.length, 200);
        assert.deepEqual([...new Set(arrived.map(({ good }) => good))], [true]);
        assert.deepEqual([...new Set(arrived.map(({ hops }) => hops))], [63]);
      }
      const counted = async () => (await server.metrics(...counters)).map((now, i) => now - relayed[i]!);
      await until("the counters to be read", async () => (await counted())[2] === 200);
      assert.deepEqual(await counted(), [200, bytes, 200, bytes]);
      assert.equal(await server.metric("udp_packets_in_total"), seen);
      await end();
    });
  }

  test("coturn's client and peer speak to each other, and user space sees their requests alone", async () => {
    const tool = [peerPath("turnutils_peer")!, "-L", at.peer[4], "-p", "9100"];
    const tools = await startChild([...through(network.peer), ...tool]);
    network.closeBefore(() => tools.stop());
    const [seen, toPeers] = (await server.metrics("udp_packets_in_total", counters[0]!)) as [number, number];
    const args = ["-u", user.name, "-w", user.password, "-c", "-e", at.peer[4], "-r", "9100"];
    const { sentBytes, receivedBytes } = await runUclient(at.toClient[4], args, through(network.client));
    assert.deepEqual([sentBytes, receivedBytes], [messages * messageBytes, messages * messageBytes]);
    await until("its packets to be counted", async () => (await server.metric(counters[0]!)) === toPeers + messages);
    const requests = (await server.metric("udp_packets_in_total")) - seen;
    assert.ok(requests < messages, `${requests} packets came to user space`);
  });

  for (const family of [4, 6] as const) {
    test(`IPv${family}: what one client sends another comes to that one's channel, and user space sees none of it`, async () => {
      const options = { host: at.toClient[family], port, username: user.name, password: user.password };
      const ends = await Promise.all([
        Endpoint.start(network.client, options),
        Endpoint.start(network.client, options),
      ]);
      const [ann, bob] = ends;
      network.closeBefore(() => Promise.all(ends.map((end) => end.stop())));
      const [annAt, bobAt] = await Promise.all(
        ends.map(async (end) => {
          const { relayed } = await end.ask({ do: "allocate", dual: true });
          return relayed!.find((one) => one.startsWith("[") === (family === 6))!;
        }),
      );
      const flows = await server.metric("offloaded_flows");
      await ann.ask({ do: "bindChannel", channel, peer: bobAt! });
      await bob.ask({ do: "bindChannel", channel: channel + 1, peer: annAt! });
      await until("a flow each way", async () => (await server.metric("offloaded_flows")) === flows + 2);
      const [seen, ...relayed] = await server.metrics("udp_packets_in_total", ...counters);
      const [toBob, toAnn] = [texts(100), texts(50)];
      await ann.ask({ do: "relay", to: channel, texts: toBob });
      await bob.hears(toBob);
      await bob.ask({ do: "relay", to: channel + 1, texts: toAnn });
      await ann.hears(toAnn);
      const counted = async () => (await server.metrics(...counters)).map((now, i) => now - relayed[i]!);
      await until("the counters to be read", async () => (await counted())[0] === 150);
      const bytes = [...toBob, ...toAnn].reduce((total, text) => total + text.length, 0);
      assert.deepEqual(await counted(), [150, bytes, 150, bytes]);
      assert.equal(await server.metric("udp_packets_in_total"), seen);
      // Who gives up the allocation hears nothing more, and the other's channel leads nowhere.
      await bob.ask({ do: "release" });
      await ann.ask({ do: "relay", to: channel, texts: ["too late"] });
      assert.equal(await hasHeard(bob, 101), false);
      assert.equal(await server.metric("offloaded_flows"), flows);
      await ann.ask({ do: "release" });
    });
  }

  test("what does not fit on its way goes through user space, and arrives", async () => {
    const { one, end } = await allocated(4, 4);
    const tooLong = () => server.metric('offload_datagrams_total{outcome="tooLong"}');
    const before = await tooLong();
    // 1,470 bytes fit without a channel's header, and not with it.
    const sent = ["short", ...Array.from({ length: 3 }, () => "x".repeat(1_470)), "short too"];
    await one.ask({ do: "relay", to: channel, texts: sent });
    await until("all to come back", () => hasHeard(one, sent.length));
    assert.deepEqual((await one.ask({ do: "heard" })).heard?.toSorted(), sent.toSorted());
    await until("them to be counted", async () => (await tooLong()) === before + 3);
    await end();
  });

  test("what is given up is not forwarded from the answer on, and others are", async () => {
    const [given, kept] = [await allocated(4, 4), await allocated(6, 6)];
    const echoes = async ({ one }: Allocated, count: number) => {
      await one.ask({ do: "relay", to: channel, texts: ["again"] });
      return hasHeard(one, count);
    };
    assert.deepEqual([await echoes(given, 1), await echoes(kept, 1)], [true, true]);
    const more = texts(50);
    await given.one.ask({ do: "relay", to: channel, texts: more });
    await until("all of them to come back", () => hasHeard(given.one, 1 + more.length));
    await given.one.ask({ do: "release" });
    // Its last line tells everything, although nobody has looked at the counters since.
    await until("the log to tell", () => server.output().includes('"allocation-ended"'));
    const line = server.output().match(/^.*"packetsToPeers":51,.*"allocation-ended".*$/m)?.[0] ?? server.output();
    const bytes = "again".length + more.reduce((total, { length }) => total + length, 0);
    const { packetsToClient, bytesToPeers, bytesToClient } = JSON.parse(line);
    assert.deepEqual([packetsToClient, bytesToPeers, bytesToClient], [51, bytes, bytes]);
    assert.deepEqual([await echoes(given, 52), await echoes(kept, 2)], [false, true]);
    await given.stop();
    await kept.end();
  });

  test("routes are followed: to a shorter way, to none, and back", async () => {
    const { one, end } = await allocated(4, 4);
    const way = "10.82.0.0/24 dev rp src 10.82.0.1";
    const outcome = (name: string) => `offload_datagrams_total{outcome="${name}"}`;
    const names = [outcome("forwarded"), outcome("tooLong")];
    const flows = () => server.metric("offloaded_flows");
    const counted = async (): Promise<string> => {
      const before = await server.metrics(...names);
      const heard = (await one.ask({ do: "heard" })).heard?.length ?? 0;
      await one.ask({ do: "relay", to: channel, texts: ["x".repeat(900)] });
      await until("an echo", () => hasHeard(one, heard + 1));
      await delay(600);
      return (await server.metrics(...names)).map((now, i) => now - before[i]!).join();
    };
    await until("both directions to be forwarded", async () => (await counted()) === "2,0");
    await network.relay.ip(`route change ${way} mtu 700`);
    await until("the way to the peer to be too short", async () => (await counted()) === "1,1");
    await network.relay.ip(`route del ${way}`);
    await until("both flows to be taken back", async () => (await flows()) === 0);
    await network.relay.ip(`route add ${way}`);
    await until("both flows to be there again", async () => (await flows()) === 2);
    await until("both directions to be forwarded again", async () => (await counted()) === "2,0");
    await end();
  });

  test("a daemon that stalls forwards no longer than its lease, and goes on when it wakes", async () => {
    const { one, end } = await allocated(4, 4);
    let count = 0;
    const echo = () => one.ask({ do: "relay", to: channel, texts: [String(count++)] });
    await echo();
    await until("the first echo", () => hasHeard(one, 1));
    process.kill(server.pid, "SIGSTOP");
    const stopped = performance.now();
    let last = 0;
    try {
      for (;;) {
        const sent = performance.now();
        await echo();
        if (!(await hasHeard(one, count))) break;
        last = sent - stopped;
      }
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
    assert.ok(count > 2, "the kernel went on at first");
    // The lease was renewed a quarter of a second before at the most.
    assert.ok(last < 3_000, `forwarded ${last} ms after the daemon had stopped`);
    await until("what has waited in the sockets", () => hasHeard(one, count));
    await until("the kernel to forward again", async () => {
      const seen = await server.metric("udp_packets_in_total");
      await echo();
      await until("an echo", () => hasHeard(one, count));
      return (await server.metric("udp_packets_in_total")) === seen;
    });
    await end();
  });

  test("nothing is left attached where there are no flows, nor by a daemon that is killed", async () => {
    await until("the flows to be gone", async () => (await server.metric("offloaded_flows")) === 0);
    await until("the program to be detached", async () => (await network.attached()) === 0);
    const { one } = await allocated(4, 4);
    assert.equal(await network.attached(), 2);
    process.kill(server.pid, "SIGKILL");
    await until("the program to be gone", async () => (await network.attached()) === 0);
    await one.ask({ do: "relay", to: channel, texts: ["nobody forwards this"] });
    assert.equal(await hasHeard(one, 1), false);
  });
});
