/**
 * What stands in the IP header of what is relayed, on real links: a client and a peer on networks of their own mark what
 * they send by rules of nftables, and tshark reads what arrives, at either end, from each datapath.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Namespace } from "../../src/lab/namespace.ts";
import { startChild } from "../support/child.ts";
import {
  peerPath,
  requireBpf,
  requireForeign,
  requireIpv6,
  requirePeer,
  requirePrivilege,
  type Skip,
} from "../support/peers.ts";
import { startRelay } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";
import { Endpoint } from "./endpoints.ts";
import { through } from "./networks.ts";

const skip =
  requirePrivilege("root", "sys-admin", "net-admin") ||
  requireForeign() ||
  requireIpv6() ||
  requirePeer("ip", "nft", "ethtool", "dumpcap", "tshark");

const user = { name: "alice", password: "wonderland" };
const channel = 0x4000;
const [channelPort, plainPort] = [9_000, 9_001];
type Family = 4 | 6;
const at = {
  client: { 4: "10.83.0.2", 6: "fd83::2" },
  toClient: { 4: "10.83.0.1", 6: "fd83::1" },
  toPeer: { 4: "10.84.0.1", 6: "fd84::1" },
  peer: { 4: "10.84.0.2", 6: "fd84::2" },
} as const;

interface Fields {
  readonly trafficClass: number;
  readonly hops: number;
}

/** EF with ECT(0), AF41 with CE. */
const marked = {
  client: { rules: ["dscp set ef", "ecn set ect0"], trafficClass: 0xba, hops: 57 },
  peer: { rules: ["dscp set af41", "ecn set ce"], trafficClass: 0x8b, hops: 33 },
} as const;
const unmarked: Fields = { trafficClass: 0, hops: 64 };

const onward = ({ trafficClass, hops }: Fields): Fields => ({ trafficClass, hops: hops - 1 });

const servers: readonly { readonly name: string; readonly carries: boolean; settings: object; skip: Skip }[] = [
  { name: "mmsg", carries: true, settings: { datapath: "mmsg" }, skip: false },
  { name: "offload", carries: true, settings: { datapath: "mmsg", offload: "auto" }, skip: requireBpf() },
  { name: "dgram", carries: false, settings: { datapath: "dgram" }, skip: false },
];

const texts = (count: number) => Array.from({ length: count }, (_, i) => `${i} `.padEnd(20 + (i % 3), "relayed "));

describe("RFC 8656 §14: what stands in the IP header", { skip }, () => {
  let client: Namespace;
  let relay: Namespace;
  let peer: Namespace;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "postern-fields-"));
    [client, relay, peer] = [
      await Namespace.open("client"),
      await Namespace.open("relay"),
      await Namespace.open("peer"),
    ];
    await link(client, "c0", at.client, "rc", at.toClient);
    await link(peer, "p0", at.peer, "rp", at.toPeer);
    await mark(client, marked.client);
    await mark(peer, marked.peer);
  });
  after(async () => {
    await Promise.all([client, relay, peer].map((namespace) => namespace?.close()));
    await rm(directory, { recursive: true, force: true });
  });

  async function link(
    far: Namespace,
    device: string,
    farAt: Record<Family, string>,
    near: string,
    nearAt: Record<Family, string>,
  ): Promise<void> {
    await relay.ip(`link add ${near} type veth peer name ${device} netns ${far.pid}`);
    for (const [place, name, address] of [
      [far, device, farAt],
      [relay, near, nearAt],
    ] as const) {
      await place.ip(
        `addr add ${address[4]}/24 dev ${name}`,
        `addr add ${address[6]}/64 dev ${name} nodad`,
        `link set ${name} up`,
      );
    }
    // What leaves in one message is cut up before it is on the link, and nothing merges it again.
    await relay.run([peerPath("ethtool")!, "-K", near, "tx", "off"]);
    await far.run([peerPath("ethtool")!, "-K", device, "gro", "off"]);
  }

  async function mark(place: Namespace, { rules, hops }: { rules: readonly string[]; hops: number }): Promise<void> {
    const of = (family: "ip" | "ip6", hopLimit: string) =>
      [...rules, `${hopLimit} set ${hops}`].map((rule) => `meta l4proto udp ${family} ${rule}`).join("\n");
    const table = (family: "ip" | "ip6", hopLimit: string) =>
      `table ${family} marks {\n chain out {\n type filter hook output priority 0;\n${of(family, hopLimit)}\n }\n}\n`;
    await place.nft(table("ip", "ttl") + table("ip6", "hoplimit"));
  }

  async function start(settings: object, port: number): Promise<AsyncDisposable> {
    const server = await startRelay({
      addresses: [at.toClient[4], at.toClient[6]],
      user,
      relayPorts: { low: 50_000, high: 50_999 },
      allowPeers: ["10.84.0.0/24", "fd84::/64"],
      port,
      through: through(relay),
      postern: { ...settings, "relay-addresses": [at.toPeer[4], at.toPeer[6]] },
    });
    return { [Symbol.asyncDispose]: () => server.stop() };
  }

  /** Begins to capture what arrives there, so many packets. */
  async function arriving(
    place: Namespace,
    device: string,
    host: string,
    count: number,
  ): Promise<() => Promise<Fields[]>> {
    const file = join(directory, `${device}.pcap`);
    const what = ["-i", device, "-f", `udp and dst host ${host}`, "-c", String(count)];
    const capture = await startChild([...through(place), peerPath("dumpcap")!, ...what, "-w", file]);
    await until("the capture to begin", () => /^File: /m.test(capture.output()), { within: 60_000 });
    return async () => {
      await capture.ended();
      const names = host.includes(":") ? ["ipv6.tclass", "ipv6.hlim"] : ["ip.dsfield", "ip.ttl"];
      const reader = await startChild([
        ...[peerPath("tshark")!, "-r", file, "-T", "fields", "-E", "separator=,"],
        ...names.flatMap((name) => ["-e", name]),
      ]);
      await reader.ended({ within: 60_000 });
      const lines = reader.output().match(/^0x[0-9a-f]+,\d+$/gm) ?? assert.fail(reader.output());
      return lines.map((line) => {
        const [trafficClass, hops] = line.split(",").map(Number) as [number, number];
        return { trafficClass, hops };
      });
    };
  }

  /** All that arrived at an end had these. */
  function had(arrived: readonly Fields[], count: number, expected: Fields): void {
    assert.equal(arrived.length, count);
    assert.deepEqual([...new Set(arrived.map((one) => JSON.stringify(one)))], [JSON.stringify(expected)]);
  }

  for (const [i, { name, carries, settings, skip: notHere }] of servers.entries()) {
    describe(`from ${name}`, { skip: notHere }, () => {
      for (const [from, to] of [
        [4, 4],
        [6, 6],
        [4, 6],
        [6, 4],
      ] as const) {
        test(`IPv${from} to IPv${to} and back, on a channel and without one`, async () => {
          const port = 3_500 + i;
          await using held = new AsyncDisposableStack();
          held.use(await start(settings, port));
          const options = { host: at.toClient[from], port, username: user.name, password: user.password };
          const [one, two] = await Promise.all([Endpoint.start(client, options), Endpoint.start(peer)]);
          held.defer(() => one.stop());
          held.defer(() => two.stop());
          const literal = (peerPort: number) =>
            to === 4 ? `${at.peer[4]}:${peerPort}` : `[${at.peer[6]}]:${peerPort}`;
          for (const peerPort of [channelPort, plainPort]) await two.ask({ do: "echo", at: literal(peerPort) });
          await one.ask({ do: "allocate", dual: true });
          await one.ask({ do: "bindChannel", channel, peer: literal(channelPort) });
          const count = 120;
          const there = await arriving(peer, "p0", at.peer[to], count);
          const here = await arriving(client, "c0", at.client[from], count);
          const first = texts(60);
          await one.ask({ do: "relay", to: channel, texts: first });
          await one.hears(first);
          const second = texts(60);
          await one.ask({ do: "relay", to: literal(plainPort), texts: second });
          await one.hears([...first, ...second]);
          had(await there(), count, carries ? onward(marked.client) : unmarked);
          had(await here(), count, carries ? onward(marked.peer) : unmarked);
        });
      }
    });
  }
});
