/** Packets on a link that are not what the program in the kernel expects, beside flows that it forwards. */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import { monotonicNow } from "../../../../src/node/clock.ts";
import { EbpfDatapath } from "../../../../src/node/datapath/ebpf/ebpf.ts";
import { ownProgram } from "../../../../src/node/datapath/ebpf/program-source.ts";
import { MmsgDatapath } from "../../../../src/node/datapath/mmsg.ts";
import { Routes } from "../../../../src/node/sys/routes.ts";
import { requireBpf, requireIpv6, requirePeer, requirePrivilege } from "../../../support/peers.ts";
import { until } from "../../../support/until.ts";
import { channel, channelData, Peer, pattern, Recorder, RelayedChannel } from "../compliance.ts";
import { chains, ipv6Packet, RawIpv6, RawLink } from "../raw-ipv6.ts";
import { at, LinkedHosts } from "./over-links.ts";

const skip = requireBpf() || requirePrivilege("root", "sys-admin") || requireIpv6() || requirePeer("ip");
const reports = { flowFailed: assert.ifError, stoodDown: assert.fail, changed: assert.ifError };

/** A client's channel to a peer, over IPv6 and one link, in the kernel both ways. Everything is closed with `held`. */
async function forwarded(held: AsyncDisposableStack) {
  const hosts = held.use(await LinkedHosts.open());
  const datapath = held.adopt(new EbpfDatapath(new MmsgDatapath(), ownProgram(), reports), (open) => open.close());
  const bound = async (purpose: "turn-listener" | "relay") => {
    const sink = new Recorder();
    datapath.bind(parseIp(at.relay[6]) as Address, purpose, sink);
    await until("the socket to open", () => sink.address);
    return sink as Recorder & { socket: number; address: Address };
  };
  const [client, peer] = [held.use(new Peer(6)), held.use(new Peer(6))];
  const [clientAt, peerAt] = await hosts.away(async () => [await client.open(at.far[6]), await peer.open(at.far[6])]);
  const [listener, relay] = [await bound("turn-listener"), await bound("relay")];
  const relayed = new RelayedChannel(datapath, clientAt, peerAt);
  relayed.begin(listener, relay);
  relayed.offer(monotonicNow() + 60_000);
  await until("both to be in the kernel", () => datapath.offloaded.flows === 2);
  return { hosts, datapath, client, peer, clientAt, peerAt, listener: listener.address, relay: relay.address, relayed };
}

test("extension headers of IPv6 go up, either way, and the flow stays in the kernel", {
  skip,
  timeout: 60_000,
}, async () => {
  await using held = new AsyncDisposableStack();
  const { hosts, datapath, client, peer, clientAt, peerAt, listener, relay, relayed } = await forwarded(held);
  const raw = await hosts.away(async () => held.use(new RawIpv6()));
  const plain = pattern(100);
  for (const [i, chain] of chains.entries()) {
    const text = pattern(200, i);
    raw.send(clientAt, listener, chain, channelData(channel, text));
    raw.send(peerAt, relay, chain, text);
    client.socket.send(channelData(channel, plain), listener.port, at.relay[6]);
    await until("both at the peer", () => peer.received.length === 2 * (i + 1));
    await until("the one at the client", () => client.received.length === i + 1);
    assert.deepEqual(client.received[i]?.data, channelData(channel, text));
    const lengths = peer.received.slice(-2).map(({ data }) => data.length);
    assert.deepEqual(new Set(lengths), new Set([plain.length, text.length]));
    assert.ok(peer.received.slice(-2).some(({ data }) => data.equals(text)));
  }
  assert.deepEqual(relayed.seen, { up: chains.length, down: chains.length });
  await until("what was forwarded to be told", () => relayed.told[0] === chains.length);
  assert.equal(datapath.offloaded.flows, 2);
});

test("what has a VLAN's tag is none of the untagged interface's flows; a tag of a priority alone goes up", {
  skip,
  timeout: 60_000,
}, async () => {
  await using held = new AsyncDisposableStack();
  const { hosts, peer, client, clientAt, listener, relayed } = await forwarded(held);
  const near = networkInterfaces()["r"]![0]!.mac;
  const link = await hosts.away(async () => {
    const routes = new Routes(["f"]);
    const [index] = routes.named;
    routes.close();
    return held.use(new RawLink(index!, networkInterfaces()["f"]![0]!.mac, near));
  });
  const send = (tag: number | undefined, text: Buffer) =>
    link.send(tag, ipv6Packet(clientAt, listener, [], channelData(channel, text)));
  for (let i = 0; i < 5; i++) {
    // VLAN 7, with a priority; then no VLAN, with one; then no tag.
    send(0xa007, pattern(101, i));
    send(0xa000, pattern(102, i));
    send(undefined, pattern(103, i));
    client.socket.send(channelData(channel, pattern(104, i)), listener.port, at.relay[6]);
    await until("three at the peer", () => peer.received.length === 3 * (i + 1));
    assert.deepEqual(new Set(peer.received.slice(-3).map(({ data }) => data.length)), new Set([102, 103, 104]));
  }
  assert.deepEqual(relayed.seen, { up: 5, down: 0 });
  await until("what was forwarded to be told", () => relayed.told[0] === 10);
});
