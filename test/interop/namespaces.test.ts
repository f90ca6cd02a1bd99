/**
 * Two clients that cannot reach each other meet through Postern, over real NATs in real network namespaces; nobody else
 * reaches them. Then two browsers do the same with a video call, and coturn's client and our own reach an IPv6 host from an IPv4 network.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Network } from "../../src/lab/network.ts";
import type { Passage } from "../../src/lab/passages.ts";
import { type GatewayDeclaration, internet, serverAddresses } from "../../src/lab/topology.ts";
import { startChild } from "../support/child.ts";
import { peerPath, requireIpv6, requirePeer, requirePrivilege } from "../support/peers.ts";
import { type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";
import { startBrowser } from "./browser.ts";
import { BrowserCall } from "./browser-call.ts";
import { Endpoint } from "./endpoints.ts";
import { arrived, hostOf, through } from "./networks.ts";
import { messageBytes, messages, runUclient } from "./uclient.ts";

const skip = requirePrivilege("root", "net-admin", "sys-admin") || requirePeer("ip", "nft");
/** A NAT of the worst kind: it maps every destination to another random port, and lets in only what was asked for. */
const worst: GatewayDeclaration = { nat: "symmetric, random", firewall: "inside to outside" };
const topology = {
  outside: ["server", "stranger"],
  sites: [
    { name: "home 1", hosts: ["client 1"], gateways: [worst] },
    { name: "home 2", hosts: ["client 2"], gateways: [worst] },
  ],
};
const [server] = serverAddresses;
const user = { name: "alice", password: "wonderland" };
const port = 3478;
const turnServer = { host: server, port, username: user.name, password: user.password };
const count = 30;
const texts = (from: string) => Array.from({ length: count }, (_, i) => `${from} ${i}`);

describe("networks that cannot reach each other", { skip }, () => {
  let network: Network;
  let serverIpv6: string | undefined;
  let strangerIpv6: string;
  let relay: RelayUnderTest;
  const endpoints: Endpoint[] = [];
  const start = async (place: string) => {
    const endpoint = await Endpoint.start(network.at(place), turnServer);
    endpoints.push(endpoint);
    return endpoint;
  };
  /** What reached the NAT of home 2 from others than the server. */
  const unasked = () =>
    arrived(network.at("home 2 router"), ({ source, destination }) => {
      return hostOf(destination) === outsideOf("home 2") && hostOf(source) !== server;
    });
  /** What reached client 2 from others than the server. */
  const strangers = () => arrived(network.at("client 2"), ({ source }: Passage) => hostOf(source) !== server);
  const outsideOf = (site: string) => network.plan.gateways.find((one) => one.site === site)?.outside;

  before(async () => {
    network = await Network.build({ ...topology, ipv6: !requireIpv6() });
    const ipv6Of = (host: string) => addressesOf(network, host).find((address) => address.includes(":"));
    serverIpv6 = ipv6Of("server");
    strangerIpv6 = ipv6Of("stranger") ?? "";
    relay = await startRelay({
      addresses: [server, ...(serverIpv6 === undefined ? [] : [serverIpv6])],
      user,
      relayPorts: { low: 50_000, high: 50_999 },
      allowPeers: [internet.network, ...(strangerIpv6 === "" ? [] : [`${strangerIpv6}/128`])],
      channelRange: "rfc5766",
      port,
      through: through(network.at("server")),
    });
  });
  after(async () => {
    await Promise.all(endpoints.map((endpoint) => endpoint.stop()));
    await relay?.stop();
    await network?.[Symbol.asyncDispose]();
  });

  test("clients behind two symmetric NATs reach each other through the relay, and only so", async () => {
    const [one, two] = [await start("client 1"), await start("client 2")];
    const [first, second] = [await one.ask({ do: "allocate" }), await two.ask({ do: "allocate" })];
    assert.equal(hostOf(first.mapped), outsideOf("home 1"));
    assert.equal(hostOf(second.mapped), outsideOf("home 2"));
    assert.equal(hostOf(first.relayed?.[0]), server);

    // By channel one way, by indication the other.
    await one.ask({ do: "bindChannel", channel: 0x4000, peer: second.relayed![0]! });
    await two.ask({ do: "permit", peer: first.relayed![0]! });
    await one.ask({ do: "relay", to: 0x4000, texts: texts("one") });
    await two.ask({ do: "relay", to: first.relayed![0]!, texts: texts("two") });
    await two.hears(texts("one"));
    await one.hears(texts("two"));

    // No way past the relay: neither the inside address nor the mapping that the server sees lets the other in.
    await one.ask({ do: "send", to: `${network.addressOf("client 2")}:5000`, texts: ["to the inside address"] });
    await one.ask({ do: "send", to: second.mapped!, texts: texts("to the mapping") });
    await until("the packets to reach the other NAT", async () => (await unasked()) >= count);
    assert.equal(await strangers(), 0);
    assert.deepEqual((await two.ask({ do: "heard" })).heard, texts("one"));

    // The counter that stayed at zero does count: the NAT itself is a neighbour.
    const neighbour = await start("home 2 router");
    await neighbour.ask({ do: "send", to: `${network.addressOf("client 2")}:5000`, texts: ["from next door"] });
    await until("the neighbour to be counted", async () => (await strangers()) === 1);
  });

  test("a third party's packets reach nobody inside, until the client permits it", async () => {
    const [inside, stranger] = [await start("client 2"), await start("stranger")];
    const { relayed, mapped } = await inside.ask({ do: "allocate" });
    const seen = await unasked();
    const reached = await strangers();
    await stranger.ask({ do: "send", to: mapped!, texts: texts("to the mapping") });
    await stranger.ask({ do: "send", to: relayed![0]!, texts: texts("unwanted") });
    await until("the NAT to see them", async () => (await unasked()) >= seen + count);

    await inside.ask({ do: "permit", peer: `${network.addressOf("stranger")}:1` });
    await stranger.ask({ do: "send", to: relayed![0]!, texts: ["wanted"] });
    await inside.hears(["wanted"]);
    assert.equal(await strangers(), reached);
  });

  test("two browsers, each behind its NAT, see and hear each other", { skip: requirePeer("chromium") }, async (t) => {
    const browsers = await Promise.all(
      ["client 1", "client 2"].map((host) => startBrowser({ through: through(network.at(host)) })),
    );
    t.after(() => Promise.all(browsers.map((browser) => browser.close())));
    const [one, two] = await Promise.all(browsers.map((browser) => browser.newPage()));
    const call = new BrowserCall(one!, two!);
    // Free to use any path: that it is a relay's is for lack of another.
    const urls = [`stun:${server}:${port}`, `turn:${server}:${port}?transport=udp`];
    await call.start({ urls, username: user.name, credential: user.password }, "all");
    for (const { local, remote } of await call.flowing()) {
      assert.ok([local.type, remote.type].includes("relay"), `${local.type} to ${remote.type}`);
    }
    await call.end();
  });

  test("one allocation relays to IPv4 and to IPv6", { skip: requireIpv6() }, async (t) => {
    if (relay.name === "coturn") return t.skip("coturn 4.6 knows dual allocation by code points from before RFC 8656");
    const [client, stranger] = [await start("client 1"), await start("stranger")];
    const peers = [`${network.addressOf("stranger")}:7000`, `[${strangerIpv6}]:7000`];
    for (const at of peers) await stranger.ask({ do: "echo", at });
    const { relayed } = await client.ask({ do: "allocate", dual: true });
    assert.deepEqual(relayed?.map(hostOf), [server, `[${serverIpv6}]`]);
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
      const peer = await startChild([
        ...through(network.at("stranger")),
        peerPath("turnutils_peer")!,
        "-L",
        strangerIpv6,
        "-p",
        "7100",
      ]);
      t.after(() => peer.stop());
      const args = [
        "-p",
        String(port),
        "-u",
        user.name,
        "-w",
        user.password,
        "-c",
        "-x",
        "-e",
        strangerIpv6,
        "-r",
        "7100",
      ];
      const result = await runUclient(server, [...args, ...mode], through(network.at("client 1")));
      assert.equal(result.sentBytes, messages * messageBytes);
      assert.equal(result.receivedBytes, result.sentBytes);
    });
  }
});

function addressesOf({ plan }: Network, host: string): readonly string[] {
  return plan.hosts.find(({ name }) => name === host)?.addresses ?? [];
}
