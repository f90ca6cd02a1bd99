/**
 * Flows that the kernel forwards by itself, on real links: a client and a peer on networks of their own, and between them
 * Postern. What arrives is verified by tshark, and what user space saw of it by its counters.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Namespace } from "../../src/lab/namespace.ts";
import { type Child, startChild } from "../support/child.ts";
import { peerPath, requireBpf, requireIpv6, requirePeer, requirePrivilege } from "../support/peers.ts";
import { type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";
import { Endpoint } from "./endpoints.ts";
import { through } from "./networks.ts";

const skip =
  requireBpf() ||
  requirePrivilege("root", "sys-admin") ||
  requireIpv6() ||
  requirePeer("ip", "dumpcap", "ethtool", "tshark", "turnutils_uclient", "turnutils_peer");

const user = { name: "alice", password: "wonderland" };
const port = 3478;
const peerPort = 9_000;
const channel = 0x4000;
const at = {
  client: { 4: "10.81.0.2", 6: "fd81::2" },
  toClient: { 4: "10.81.0.1", 6: "fd81::1" },
  toPeer: { 4: "10.82.0.1", 6: "fd82::1" },
  peer: { 4: "10.82.0.2", 6: "fd82::2" },
} as const;
type Family = 4 | 6;

const literal = (ip: string, portOf: number) => (ip.includes(":") ? `[${ip}]:${portOf}` : `${ip}:${portOf}`);
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
    await until("the capture to begin", () => /^File: /m.test(child.output()), { within: 20_000 });
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
    await reader.ended({ within: 30_000 });
    const lines = reader.output().match(/^\d+(,\d+)+$/gm) ?? assert.fail(reader.output());
    return lines.map((line) => {
      const [udp, hops, ip = 1] = line.split(",").map(Number) as [number, number, number?];
      return { good: udp === 1 && ip === 1, hops };
    });
  }
}

describe("flows that the kernel forwards", { skip }, () => {
  let client: Namespace;
  let relay: Namespace;
  let peer: Namespace;
  let directory: string;
  const closing: (() => Promise<unknown>)[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "postern-offload-"));
    [client, relay, peer] = (await Promise.all(["client", "relay", "peer"].map((name) => Namespace.open(name)))) as [
      Namespace,
      Namespace,
      Namespace,
    ];
    await link(client, "c0", at.client, "rc", at.toClient);
    await link(peer, "p0", at.peer, "rp", at.toPeer);
  });
  after(async () => {
    for (const close of closing.reverse()) await close();
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
      // Local senders' packets leave with real sums, so that what arrives can be verified.
      await place.run([peerPath("ethtool")!, "-K", name, "tx", "off"]);
    }
  }

  async function start(more: Readonly<Record<string, unknown>> = {}): Promise<Served> {
    const httpPort = 9_100;
    const server = await startRelay({
      addresses: [at.toClient[4], at.toClient[6]],
      user,
      relayPorts: { low: 50_000, high: 50_999 },
      allowPeers: ["10.82.0.0/24", "fd82::/64"],
      channelRange: "rfc5766",
      port,
      through: through(relay),
      postern: {
        offload: "auto",
        "relay-addresses": [at.toPeer[4], at.toPeer[6]],
        "http-listen": `127.0.0.1:${httpPort}`,
        ...more,
      },
    });
    closing.push(() => server.stop());
    await until("the flows' program to be loaded", () => /"offload-is-on"/.test(server.output()));
    return new Served(server, relay, httpPort);
  }

  async function allocated(from: Family, to: Family): Promise<{ one: Endpoint; two: Endpoint }> {
    const options = { host: at.toClient[from], port, username: user.name, password: user.password };
    const [one, two] = await Promise.all([Endpoint.start(client, options), Endpoint.start(peer)]);
    closing.push(
      () => one.stop(),
      () => two.stop(),
    );
    await two.ask({ do: "echo", at: literal(at.peer[to], peerPort) });
    await one.ask({ do: "allocate", dual: true });
    await one.ask({ do: "bindChannel", channel, peer: literal(at.peer[to], peerPort) });
    return { one, two };
  }

  for (const [from, to] of [
    [4, 4],
    [6, 6],
    [4, 6],
    [6, 4],
  ] as const) {
    test(`IPv${from} to IPv${to} and back: all arrives, with right checksums, and user space sees none of it`, async () => {
      const server = await start();
      const { one, two } = await allocated(from, to);
      await until("both flows to be in the kernel", async () => (await server.metric("offloaded_flows")) === 2);
      const before = await server.metric("udp_packets_in_total");
      const captures = await Promise.all([
        Capture.start(peer, "p0", at.peer[to], 200, join(directory, `p${from}${to}.pcap`)),
        Capture.start(client, "c0", at.client[from], 200, join(directory, `c${from}${to}.pcap`)),
      ]);
      const sent = texts(200);
      await one.ask({ do: "relay", to: channel, texts: sent });
      await one.hears(sent);
      assert.equal(await server.metric("udp_packets_in_total"), before);
      const bytes = sent.reduce((total, text) => total + text.length, 0);
      await until(
        "the counters to be read",
        async () => (await server.metric("relayed_packets_to_peers_total")) === 200,
      );
      assert.deepEqual(
        await server.metrics(
          "relayed_packets_to_clients_total",
          "relayed_bytes_to_peers_total",
          "relayed_bytes_to_clients_total",
        ),
        [200, bytes, bytes],
      );
      for (const capture of captures) {
        const arrived = await capture.packets();
        assert.equal(arrived.length, 200);
        assert.deepEqual([...new Set(arrived.map(({ good }) => good))], [true]);
        assert.deepEqual([...new Set(arrived.map(({ hops }) => hops))], [63]);
      }
      await Promise.all([one.stop(), two.stop()]);
      await server.stop();
    });
  }
});

class Served {
  readonly #server: RelayUnderTest;
  readonly #place: Namespace;
  readonly #httpPort: number;

  constructor(server: RelayUnderTest, place: Namespace, httpPort: number) {
    this.#server = server;
    this.#place = place;
    this.#httpPort = httpPort;
  }

  get pid(): number {
    return this.#server.pid;
  }

  output(): string {
    return this.#server.output();
  }

  async metrics(...names: readonly string[]): Promise<number[]> {
    const program = `fetch("http://127.0.0.1:${this.#httpPort}/metrics").then((r) => r.text()).then(console.log)`;
    const all = await this.#place.run([process.execPath, "-e", program]);
    return names.map((name) => Number(new RegExp(`^postern_${name} (\\d+)$`, "m").exec(all)?.[1]));
  }

  async metric(name: string): Promise<number> {
    return (await this.metrics(name))[0] as number;
  }

  stop(signal?: NodeJS.Signals): Promise<void> {
    return this.#server.stop(signal);
  }
}
