/** What has headers between IPv6's and UDP's is relayed in user space, beside a flow that the kernel forwards. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import { monotonicNow } from "../../../../src/node/clock.ts";
import { EbpfDatapath } from "../../../../src/node/datapath/ebpf/ebpf.ts";
import { ownProgram } from "../../../../src/node/datapath/ebpf/program-source.ts";
import { MmsgDatapath } from "../../../../src/node/datapath/mmsg.ts";
import { requireBpf, requireIpv6, requirePeer, requirePrivilege } from "../../../support/peers.ts";
import { until } from "../../../support/until.ts";
import { channel, channelData, Peer, pattern, Recorder, RelayedChannel } from "../compliance.ts";
import { chains, RawIpv6 } from "../raw-ipv6.ts";
import { at, LinkedHosts } from "./over-links.ts";

const skip = requireBpf() || requirePrivilege("root", "sys-admin") || requireIpv6() || requirePeer("ip");
const reports = { flowFailed: assert.ifError, stoodDown: assert.fail, changed: assert.ifError };

test("extension headers of IPv6 go up, either way, and the flow stays in the kernel", {
  skip,
  timeout: 60_000,
}, async () => {
  await using held = new AsyncDisposableStack();
  const hosts = held.use(await LinkedHosts.open());
  const datapath = held.adopt(new EbpfDatapath(new MmsgDatapath(), ownProgram(), reports), (open) => open.close());
  const bound = async (purpose: "turn-listener" | "relay") => {
    const sink = new Recorder();
    datapath.bind(parseIp(at.relay[6]) as Address, purpose, sink);
    await until("the socket to open", () => sink.address);
    return sink as Recorder & { socket: number; address: Address };
  };
  const [client, peer] = [held.use(new Peer(6)), held.use(new Peer(6))];
  const [clientAt, peerAt, raw] = await hosts.away(async () => [
    await client.open(at.far[6]),
    await peer.open(at.far[6]),
    held.use(new RawIpv6()),
  ]);
  const [listener, relay] = [await bound("turn-listener"), await bound("relay")];
  const relayed = new RelayedChannel(datapath, clientAt, peerAt);
  relayed.begin(listener, relay);
  relayed.offer(monotonicNow() + 60_000);
  await until("both to be in the kernel", () => datapath.offloaded.flows === 2);
  const plain = pattern(100);
  for (const [i, chain] of [...chains.entries()]) {
    const text = pattern(200, i);
    raw.send(clientAt, listener.address, chain, channelData(channel, text));
    raw.send(peerAt, relay.address, chain, text);
    client.socket.send(channelData(channel, plain), listener.address.port, at.relay[6]);
    await until("both at the peer", () => peer.received.length === 2 * (i + 1));
    await until("the one at the client", () => client.received.length === i + 1);
    assert.deepEqual(client.received[i]?.data, channelData(channel, text));
    assert.deepEqual(
      new Set(peer.received.slice(-2).map(({ data }) => data.length)),
      new Set([plain.length, text.length]),
    );
    assert.ok(peer.received.slice(-2).some(({ data }) => data.equals(text)));
  }
  assert.deepEqual(relayed.seen, { up: chains.length, down: chains.length });
  await until("what was forwarded to be told", () => relayed.told[0] === chains.length);
  assert.equal(datapath.offloaded.flows, 2);
});
