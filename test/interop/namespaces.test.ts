/**
 * Two clients that cannot reach each other meet through Postern, over real NATs in real network namespaces; nobody else
 * reaches them. Then two browsers do the same with a video call, and coturn's client and our own reach an IPv6 host from an IPv4 network.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Child, startChild } from "../support/child.ts";
import { peerPath, requireIpv6, requirePeer, requirePrivilege } from "../support/peers.ts";
import { type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";
import { startBrowser } from "./browser.ts";
import { BrowserCall } from "./browser-call.ts";
import type { Answer, Command } from "./endpoint.ts";
import { addresses, type Host, Networks } from "./networks.ts";
import { messageBytes, messages, runUclient } from "./uclient.ts";

const skip = requirePrivilege("root", "net-admin", "sys-admin") || requirePeer("ip", "nft");
const user = { name: "alice", password: "wonderland" };
const port = 3478;
const count = 30;
const texts = (from: string) => Array.from({ length: count }, (_, i) => `${from} ${i}`);

describe("networks that cannot reach each other", { skip }, () => {
  let networks: Networks;
  let relay: RelayUnderTest;
  const endpoints: Endpoint[] = [];
  const start = async (host: Host) => {
    const endpoint = await Endpoint.start(networks, host);
    endpoints.push(endpoint);
    return endpoint;
  };

  before(async () => {
    networks = await Networks.make();
    const ipv6 = requireIpv6() ? [] : [addresses.server.ipv6];
    relay = await startRelay({
      addresses: [addresses.server.ipv4, ...ipv6],
      user,
      relayPorts: { low: 50_000, high: 50_999 },
      allowPeers: ["203.0.113.0/24", "fd00:203::66/128"],
      channelRange: "rfc5766",
      port,
      through: networks.on("server"),
    });
  });
  after(async () => {
    await Promise.all(endpoints.map((endpoint) => endpoint.stop()));
    await relay?.stop();
    await networks?.[Symbol.asyncDispose]();
  });

  test("clients behind two symmetric NATs reach each other through the relay, and only so", async () => {
    const [one, two] = [await start("client1"), await start("client2")];
    const [first, second] = [await one.ask({ do: "allocate" }), await two.ask({ do: "allocate" })];
    assert.equal(hostOf(first.mapped), addresses.nat1);
    assert.equal(hostOf(second.mapped), addresses.nat2);
    assert.equal(hostOf(first.relayed?.[0]), addresses.server.ipv4);

    // By channel one way, by indication the other.
    await one.ask({ do: "bindChannel", channel: 0x4000, peer: second.relayed![0]! });
    await two.ask({ do: "permit", peer: first.relayed![0]! });
    await one.ask({ do: "relay", to: 0x4000, texts: texts("one") });
    await two.ask({ do: "relay", to: first.relayed![0]!, texts: texts("two") });
    await two.hears(texts("one"));
    await one.hears(texts("two"));

    // No way past the relay: neither the inside address nor the mapping that the server sees lets the other in.
    await one.ask({ do: "send", to: `${addresses.client2}:5000`, texts: ["to the inside address"] });
    await one.ask({ do: "send", to: second.mapped!, texts: texts("to the mapping") });
    await until("the packets to reach the other NAT", async () => (await networks.counted("nat2", "unasked")) >= count);
    assert.equal(await networks.counted("client2", "strangers"), 0);
    assert.deepEqual((await two.ask({ do: "heard" })).heard, texts("one"));

    // The counter that stayed at zero does count: the NAT itself is a neighbour.
    const neighbour = await start("nat2");
    await neighbour.ask({ do: "send", to: `${addresses.client2}:5000`, texts: ["from next door"] });
    await until("the neighbour to be counted", async () => (await networks.counted("client2", "strangers")) === 1);
  });

  test("a third party's packets reach nobody inside, until the client permits it", async () => {
    const [inside, stranger] = [await start("client2"), await start("stranger")];
    const { relayed, mapped } = await inside.ask({ do: "allocate" });
    const seen = await networks.counted("nat2", "unasked");
    const reached = await networks.counted("client2", "strangers");
    await stranger.ask({ do: "send", to: mapped!, texts: texts("to the mapping") });
    await stranger.ask({ do: "send", to: relayed![0]!, texts: texts("unwanted") });
    await until("the NAT to see them", async () => (await networks.counted("nat2", "unasked")) >= seen + count);

    await inside.ask({ do: "permit", peer: `${addresses.stranger.ipv4}:1` });
    await stranger.ask({ do: "send", to: relayed![0]!, texts: ["wanted"] });
    await inside.hears(["wanted"]);
    assert.equal(await networks.counted("client2", "strangers"), reached);
  });

  test("two browsers, each behind its NAT, see and hear each other", { skip: requirePeer("chromium") }, async (t) => {
    const browsers = await Promise.all(
      (["client1", "client2"] as const).map((host) => startBrowser({ through: networks.on(host) })),
    );
    t.after(() => Promise.all(browsers.map((browser) => browser.close())));
    const [one, two] = await Promise.all(browsers.map((browser) => browser.newPage()));
    const call = new BrowserCall(one!, two!);
    const server = `${addresses.server.ipv4}:${port}`;
    // Free to use any path: that it is a relay's is for lack of another.
    const urls = [`stun:${server}`, `turn:${server}?transport=udp`];
    await call.start({ urls, username: user.name, credential: user.password }, "all");
    for (const { local, remote } of await call.flowing()) {
      assert.ok([local.type, remote.type].includes("relay"), `${local.type} to ${remote.type}`);
    }
    await call.end();
  });

  test("one allocation relays to IPv4 and to IPv6", { skip: requireIpv6() }, async (t) => {
    if (relay.name === "coturn") return t.skip("coturn 4.6 knows dual allocation by code points from before RFC 8656");
    const [client, stranger] = [await start("client1"), await start("stranger")];
    const peers = [`${addresses.stranger.ipv4}:7000`, `[${addresses.stranger.ipv6}]:7000`];
    for (const at of peers) await stranger.ask({ do: "echo", at });
    const { relayed } = await client.ask({ do: "allocate", dual: true });
    assert.deepEqual(relayed?.map(hostOf), [addresses.server.ipv4, `[${addresses.server.ipv6}]`]);
    for (const peer of peers) await client.ask({ do: "permit", peer });
    for (const peer of peers) await client.ask({ do: "relay", to: peer, texts: [`to ${peer}`] });
    await client.hears(peers.map((peer) => `to ${peer}`));
  });

  const noIpv6Peer = requireIpv6() || requirePeer("turnutils_uclient", "turnutils_peer");
  for (const { name, mode } of [
    { name: "channels over UDP", mode: [] },
    { name: "Send indications over UDP", mode: ["-s"] },
    { name: "channels over TCP", mode: ["-t"] },
  ]) {
    test(`coturn's client reaches an IPv6 peer by ${name}`, { skip: noIpv6Peer }, async (t) => {
      const { ipv4 } = addresses.server;
      const { ipv6 } = addresses.stranger;
      const peer = await startChild([
        ...networks.on("stranger"),
        peerPath("turnutils_peer")!,
        "-L",
        ipv6,
        "-p",
        "7100",
      ]);
      t.after(() => peer.stop());
      const args = ["-p", String(port), "-u", user.name, "-w", user.password, "-c", "-x", "-e", ipv6, "-r", "7100"];
      const result = await runUclient(ipv4, [...args, ...mode], networks.on("client1"));
      assert.equal(result.sentBytes, messages * messageBytes);
      assert.equal(result.receivedBytes, result.sentBytes);
    });
  }
});

function hostOf(address: string | undefined): string | undefined {
  return address?.slice(0, address.lastIndexOf(":"));
}

/** The far end of `endpoint.ts`. */
class Endpoint {
  readonly #child: Child;
  #asked = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(networks: Networks, host: Host): Promise<Endpoint> {
    const server = { host: addresses.server.ipv4, port, username: user.name, password: user.password };
    const script = new URL("endpoint.ts", import.meta.url).pathname;
    const command = [...networks.on(host), process.execPath, script, JSON.stringify(server)];
    return new Endpoint(await startChild(command, { holdInput: true }));
  }

  async ask(command: Command): Promise<Answer> {
    const nth = this.#asked++;
    this.#child.write(`${JSON.stringify(command)}\n`);
    const lines = () => this.#child.output().split("\n");
    const line = await until(`an answer to ${command.do}`, () => lines().length > nth + 1 && lines()[nth]);
    const answer = JSON.parse(line) as Answer;
    if (answer.failure !== undefined) throw new Error(`${command.do}: ${answer.failure}`);
    return answer;
  }

  /** Waits until it has heard as much as `expected`, and that must be it. */
  async hears(expected: readonly string[]): Promise<void> {
    let heard: readonly string[] = [];
    await until(`${expected.length} texts`, async () => {
      heard = (await this.ask({ do: "heard" })).heard ?? [];
      return heard.length >= expected.length || assert.fail(`${heard.length} heard`);
    });
    assert.deepEqual(heard, expected);
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}
