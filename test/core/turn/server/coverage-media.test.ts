/** The edges of the media lane: the longest datagrams, the shortest, and limits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "../../../../src/core/base/address.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { StunView } from "../../../../src/core/stun/view.ts";
import { StunWriter } from "../../../../src/core/stun/writer.ts";
import { CONFIG, ip, PEER, PEER6, tcpPath, udpPath, World } from "../../../support/turn-world.ts";

/** The longest payloads that UDP has: over IPv4, and over IPv6. */
const LONGEST = [65_507, 65_527] as const;

test("RFC 8656 §11.3: a Data indication carries the longest datagram of IPv4 whole", () => {
  const world = new World();
  const client = world.client({ path: tcpPath(1) });
  const [relayed] = client.allocate().relayed as [Address];
  client.permit(PEER);
  world.takeOutputs();
  const payload = world.random.bytes(LONGEST[0]);
  world.receiveFromPeer(payload, PEER, world.relayAt(relayed));
  const view = new StunView();
  assert.equal(view.decode(world.takeSends()[0]?.data ?? new Uint8Array(0)), undefined);
  assert.deepEqual(view.bytes(Attribute.Data), payload);
});

test("a datagram of IPv6 that is too long for a Data indication is dropped: a STUN length has 16 bits", () => {
  const world = new World();
  const client = world.client({ path: tcpPath(1) });
  const [relayed] = client.allocate((w) => w.u32(Attribute.RequestedAddressFamily, 2 << 24)).relayed as [Address];
  client.permit(PEER6);
  for (let length = LONGEST[0] - 8; length <= LONGEST[1]; length++) {
    world.takeOutputs();
    world.receiveFromPeer(new Uint8Array(length), PEER6, world.relayAt(relayed));
    for (const { data } of world.takeSends()) assert.equal(new StunView().decode(data), undefined, `${length} bytes`);
  }
});

test("RFC 8656 §12.6: a channel carries datagrams of every length, empty ones too, both ways", () => {
  const world = new World();
  const client = world.client();
  const [relayed] = client.allocate().relayed as [Address];
  client.bindChannel(0x4000, PEER);
  for (const length of [0, 1, 3, 4, 1200, LONGEST[0]]) {
    const out = client.sendOnChannel(0x4000, new Uint8Array(length));
    assert.deepEqual([out?.offset, out?.length, out?.flow.toward], [4, length, "peer"]);
    const back = world.receiveFromPeer(new Uint8Array(length), PEER, world.relayAt(relayed));
    assert.deepEqual([back?.offset, back?.length, back?.flow.toward], [0, length, "client"]);
  }
  assert.equal(world.server.stats.packetsToPeers, 6);
  assert.equal(world.server.stats.packetsToClients, 6);
  assert.equal(world.server.stats.bytesToPeers, 8 + 1200 + LONGEST[0]);
});

test("RFC 8489 §14: attributes of a request come in any order", () => {
  const world = new World();
  const client = world.client();
  client.allocate();
  const bound = client.request(Method.ChannelBind, (writer) => {
    writer.xorAddress(Attribute.XorPeerAddress, PEER).u32(Attribute.ChannelNumber, 0x4000_0000);
  });
  assert.equal(bound.code, 0);
  assert.ok(client.sendOnChannel(0x4000, new Uint8Array(1)));
});

test("RFC 8656 §9: a permission lives 300 s and a channel 600 s: between them the peer is not heard", () => {
  const world = new World();
  const client = world.client();
  const [relayed] = client.allocate((w) => w.u32(Attribute.Lifetime, 3600)).relayed as [Address];
  const relay = world.relayAt(relayed);
  client.bindChannel(0x4000, PEER);
  world.advance(299);
  assert.ok(world.receiveFromPeer(new Uint8Array(1), PEER, relay));
  world.advance(1);
  assert.equal(world.receiveFromPeer(new Uint8Array(1), PEER, relay), undefined);
  assert.equal(world.server.stats.drops["no-permission"], 1);
  client.permit(PEER);
  assert.ok(world.receiveFromPeer(new Uint8Array(1), PEER, relay), "permission again, and the channel is still there");
  world.advance(300);
  assert.equal(client.sendOnChannel(0x4000, new Uint8Array(1)), undefined);
  assert.equal(world.server.stats.channels, 0);
});

test("RFC 8656 §11.2: a Send indication without a peer, without data, or broken is dropped in silence", () => {
  const world = new World();
  const client = world.client();
  client.allocate();
  client.permit(PEER);
  world.takeOutputs();
  assert.ok(client.send(PEER, new Uint8Array(0)), "data may be empty");
  const bytes = client.signed(0x006);
  bytes[0] = 0x00;
  bytes[1] = 0x16;
  assert.equal(world.receive(bytes, client.path), undefined);
  assert.equal(world.server.stats.drops.malformed, 1);
  assert.deepEqual(world.takeOutputs(), []);
});

test("bandwidth: bytes beyond the limit of an allocation and a direction are dropped, and come back with time", () => {
  const world = new World({ quotas: { ...CONFIG.quotas, bytesPerSecond: 100_000 } });
  const client = world.client();
  const [relayed] = client.allocate().relayed as [Address];
  const relay = world.relayAt(relayed);
  client.bindChannel(0x4000, PEER);
  const burst = (): [number, number] => {
    let [up, down] = [0, 0];
    for (let i = 0; i < 20; i++) {
      if (client.sendOnChannel(0x4000, new Uint8Array(10_000)) !== undefined) up++;
      if (world.receiveFromPeer(new Uint8Array(10_000), PEER, relay) !== undefined) down++;
    }
    return [up, down];
  };
  assert.deepEqual(burst(), [10, 10]);
  world.advance(0.5);
  assert.deepEqual(burst(), [5, 5]);
  world.advance(60);
  assert.deepEqual(burst(), [10, 10]);
  assert.equal(world.server.stats.drops.bandwidth, 10 + 10 + 15 + 15 + 10 + 10);
});

test("new peers are limited in rate: a scan by permissions stops after its burst", () => {
  const world = new World({ quotas: { ...CONFIG.quotas, newPeersPerSecond: 2, permissions: 1000 } });
  const client = world.client();
  client.allocate();
  const codes = (from: number): number[] => {
    return Array.from({ length: 20 }, (_, i) => client.permit(ip(`9.9.${from}.${i}`)).code);
  };
  assert.equal(codes(1).filter((code) => code === 0).length, 8);
  assert.equal(world.server.stats.drops["too-many-new-peers"], 12);
  assert.equal(client.permit(ip("9.9.1.0")).code, 0, "a peer that is known is no new one");
  world.advance(1);
  assert.deepEqual(codes(2).slice(0, 3), [0, 0, 508]);
});

test("what comes for another's relay, a closed one or none is dropped", () => {
  const world = new World();
  const client = world.client();
  const [relayed] = client.allocate().relayed as [Address];
  const relay = world.relayAt(relayed);
  client.permit(PEER);
  client.refresh(0);
  assert.equal(world.receiveFromPeer(new Uint8Array(1), PEER, relay), undefined);
  assert.equal(client.sendOnChannel(0x4000, new Uint8Array(1)), undefined);
  assert.equal(world.client({ path: udpPath("9.9.9.9") }).send(PEER, new Uint8Array(1)), undefined);
  assert.equal(world.server.stats.drops["no-allocation"], 3);
});

test("RFC 8489 §6.3: what a server has no use for is dropped in silence: responses, and indications but Send", () => {
  const world = new World();
  const client = world.client();
  client.allocate();
  world.takeOutputs();
  const { Binding, Allocate, Data, Send } = Method;
  const { Indication, Success, Error: Failure } = MessageClass;
  const useless = [
    ...[Allocate, Data].map((method) => [method, Indication] as const),
    ...[Binding, Allocate, Send].flatMap((method) => [[method, Success] as const, [method, Failure] as const]),
  ];
  for (const [method, messageClass] of useless) {
    world.receive(new StunWriter().begin(method, messageClass, client.id()).finish(), client.path);
  }
  assert.equal(world.server.stats.drops.unexpected, useless.length);
  // RFC 8489 §6.3.2: a Binding indication keeps a NAT's binding alive, and that is all.
  world.receive(new StunWriter().begin(Binding, Indication, client.id()).finish(), client.path);
  assert.equal(world.server.stats.drops.unexpected, useless.length);
  assert.deepEqual(world.takeOutputs(), []);
});
