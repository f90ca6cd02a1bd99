import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import { type Prefix, parsePrefix } from "../../../../src/core/base/prefix.ts";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { Attribute, Method } from "../../../../src/core/stun/registry.ts";
import type { ClientOptions } from "./world.ts";
import { Answer, address, baseConfig, Client, PEER, PEER6, textOf, World } from "./world.ts";

function allocated(config = {}, at = "5.6.7.8:1000", world = new World(config), options: ClientOptions = {}) {
  const client = new Client(world, at, options);
  return { world, client, port: client.allocated() };
}

const open = (...texts: string[]): Prefix[] => texts.map((text) => parsePrefix(text) as Prefix);

test("RFC 8656 §12: a channel carries data both ways", () => {
  const { world, client, port } = allocated();
  assert.ok(client.bind(0x4001, `${PEER}:9000`).ok);
  assert.deepEqual(client.channelData(0x4001, "hello"), {
    toward: "peer",
    to: `${PEER}:9000`,
    channel: 0x4001,
    payload: "hello",
  });
  assert.deepEqual(world.fromPeer(`${PEER}:9000`, port, "hi"), { channel: 0x4001, payload: "hi" });
  assert.deepEqual(client.channelData(0x4001, "")?.payload, "", "RFC 8656 §12.6: empty data is relayed too");
  assert.deepEqual(world.hints, ["offload 4001 to peer", "offload 4001 to client"]);
});

test("RFC 8656 §12.2: what a ChannelBind is refused for", () => {
  const { client } = allocated();
  const code = (channel: number, peer: string) => client.bind(channel, peer).code;
  assert.equal(code(0x3fff, `${PEER}:1`), 400);
  assert.equal(code(0x5000, `${PEER}:1`), 400, "RFC 5766's range is an option");
  assert.equal(code(0x4000, `${PEER}:1`), 0);
  assert.equal(code(0x4000, `${PEER}:1`), 0, "the same again refreshes");
  assert.equal(code(0x4000, `${PEER}:2`), 400, "the channel is bound");
  assert.equal(code(0x4001, `${PEER}:1`), 400, "the peer is bound");
  assert.equal(code(0x4001, `[${PEER6}]:1`), 443);
  assert.equal(code(0x4001, "192.168.1.1:1"), 403);
  assert.equal(code(0x4001, `${PEER}:0`), 403);
  const missing = client.request(Method.ChannelBind, (w) => w.u32(Attribute.ChannelNumber, 0x4001 << 16));
  assert.equal(missing.code, 400);
  const malformed = client.request(Method.ChannelBind, (w) =>
    w.u32(Attribute.ChannelNumber, 0x4001 << 16).u32(Attribute.XorPeerAddress, 1),
  );
  assert.equal(malformed.code, 400);
  const wide = allocated({ channelRange: "rfc5766" });
  assert.ok(wide.client.bind(0x7fff, `${PEER}:1`).ok);
});

test("a channel number that is refused is told with the range, and with what allows more", () => {
  const refused = (channelRange: string, channel: number) => {
    const { world, client } = allocated({ channelRange });
    client.bind(channel, `${PEER}:1`);
    return world.events.find((e) => e.type === "refused")?.why;
  };
  assert.match(refused("rfc8656", 0x5000) ?? "", /0x4000-0x4FFF: the channel range rfc5766 allows more$/);
  assert.match(refused("rfc5766", 0x8000) ?? "", /0x4000-0x7FFF$/);
});

test("quotas of channels and permissions are 508", () => {
  const { client } = allocated({ quotas: { ...baseConfig.quotas, permissions: 2, channels: 1 } });
  assert.ok(client.bind(0x4000, `${PEER}:1`).ok);
  assert.equal(client.bind(0x4001, `${PEER}:2`).code, 508);
  assert.equal(client.permit("8.8.8.8", "8.8.8.9").code, 508, "all or none");
  assert.ok(client.permit("8.8.8.8").ok);
  assert.equal(client.permit("8.8.8.9").code, 508);
  assert.ok(client.permit("8.8.8.8", PEER).ok, "known peers are refreshed");
});

test("new peers are limited in time", () => {
  const { world, client } = allocated({ quotas: { ...baseConfig.quotas, newPeersPerSecond: 1, permissions: 99 } });
  const codes = [1, 2, 3, 4, 5, 6].map((n) => client.permit(`8.8.8.${n}`).code);
  assert.deepEqual(codes, [0, 0, 0, 0, 508, 508]);
  world.advance(1);
  assert.equal(client.permit("8.8.8.5").code, 0);
});

test("RFC 8656 §10.2: CreatePermission takes all of its addresses or none", () => {
  const { world, client } = allocated();
  assert.equal(client.permit("8.8.8.8", "10.1.2.3").code, 403);
  assert.equal(client.permit("8.8.8.8", PEER6).code, 443);
  assert.equal(world.server.stats.permissions, 0);
  assert.ok(client.permit("8.8.8.8", "8.8.8.9", "8.8.8.8").ok);
  assert.equal(world.server.stats.permissions, 2);
  assert.equal(client.permit().code, 400);
  assert.equal(client.request(Method.CreatePermission, (w) => w.u32(Attribute.XorPeerAddress, 1)).code, 400);
});

test("RFC 8656 §11.2: Send indications need a permission; anything wrong with them is dropped", () => {
  const { world, client } = allocated();
  assert.equal(client.send(`${PEER}:5`, "x"), undefined);
  client.permit(PEER);
  assert.deepEqual(client.send(`${PEER}:5`, "abc"), { toward: "peer", to: `${PEER}:5`, channel: 0, payload: "abc" });
  assert.equal(client.send(`${PEER}:0`, "x"), undefined, "port 0");
  assert.equal(
    client.send(`${PEER}:5`, "x", (w) => w.bytes(Attribute.DontFragment, new Uint8Array(0))),
    undefined,
  );
  assert.equal(client.media(client.plain(Method.Send, (w) => w.text(Attribute.Data, "x"), 1)), undefined);
  assert.equal(new Client(world, "5.6.7.8:2").send(`${PEER}:5`, "x"), undefined, "no allocation");
});

test("RFC 8656 §11.3: without a channel the client gets a Data indication", () => {
  const { world, client, port } = allocated();
  client.permit(PEER);
  world.sent.length = 0;
  assert.equal(world.fromPeer(`${PEER}:77`, port, "abc"), undefined);
  const indication = new Answer((world.sent[0] as { data: Uint8Array }).data);
  assert.equal(indication.view.method, Method.Data);
  assert.deepEqual(indication.addresses(Attribute.XorPeerAddress).map(formatAddress), [`${PEER}:77`]);
  assert.equal(textOf(indication.view.bytes(Attribute.Data) as Uint8Array), "abc");
  assert.deepEqual([...indication.data.slice(-1)], [0], "padding is zero");
});

test("RFC 8656 §9: nothing comes in without a permission, and a channel alone is none", () => {
  const { world, client, port } = allocated();
  client.bind(0x4001, `${PEER}:9000`);
  assert.equal(world.fromPeer("8.8.8.8:1", port, "x"), undefined);
  world.advance(299);
  assert.ok(world.fromPeer(`${PEER}:9000`, port, "x"));
  world.advance(2);
  assert.equal(world.fromPeer(`${PEER}:9000`, port, "x"), undefined, "the permission lasts 300 s");
  assert.ok(client.channelData(0x4001, "x"), "the channel 600 s");
  assert.equal(world.hints.at(-1), "withdraw 4001 to client");
  assert.ok(client.permit(PEER).ok);
  assert.ok(world.fromPeer(`${PEER}:9000`, port, "x"));
  assert.equal(world.hints.at(-1), "offload 4001 to client");
  client.refresh(3600);
  world.advance(300);
  assert.equal(client.channelData(0x4001, "x"), undefined);
  assert.ok(client.bind(0x4002, `${PEER}:9000`).ok, "peer and number are free again");
});

test("RFC 8656 §12.6: ChannelData that is cut, on no channel, or from nobody is dropped", () => {
  const { world, client } = allocated();
  client.bind(0x4001, `${PEER}:9000`);
  assert.equal(client.media(Uint8Array.of(0x40, 1, 0, 9, 1, 2)), undefined);
  assert.equal(client.media(Uint8Array.of(0x40, 1)), undefined);
  assert.equal(client.channelData(0x4002, "x"), undefined);
  assert.equal(new Client(world, "5.6.7.8:2").channelData(0x4001, "x"), undefined);
  assert.equal(client.media(Uint8Array.of(0x40, 1, 0, 1, 65, 0, 0, 0))?.payload, "A", "padding is ignored");
});

test("a datagram at a relay that is gone is dropped", () => {
  const { world, client, port } = allocated();
  const id = world.relayAt(port);
  client.refresh(0);
  const out = world.server.handlePeerDatagram(encodeUtf8("x"), 1, address(`${PEER}:1`), id, world.now);
  assert.equal(out, undefined);
});

test("two clients of one server meet at their relayed addresses, without a socket between them", () => {
  for (const config of [{}, { relays: [{ bound: address("10.0.0.5:0"), advertised: address("9.9.9.77:0") }] }]) {
    const { world, client: a, port: portA } = allocated(config);
    const { client: b, port: portB } = allocated(config, "6.7.8.9:2000", world);
    const ip = config.relays === undefined ? "9.9.9.1" : "9.9.9.77";
    assert.ok(a.bind(0x4000, `${ip}:${portB}`).ok);
    assert.equal(a.channelData(0x4000, "x"), undefined, "b gave no permission");
    assert.ok(b.permit(ip).ok);
    world.sent.length = 0;
    a.channelData(0x4000, "x");
    const [got] = world.sent;
    const indication = new Answer(got?.data as Uint8Array);
    assert.equal(formatAddress(got?.to.remote as never), "6.7.8.9:2000");
    assert.deepEqual(indication.addresses(Attribute.XorPeerAddress).map(formatAddress), [`${ip}:${portA}`]);
    assert.ok(b.bind(0x4008, `${ip}:${portA}`).ok);
    const expected = { toward: "client", to: "6.7.8.9:2000", channel: 0x4008, payload: "over" };
    assert.deepEqual(a.channelData(0x4000, "over"), expected);
    assert.deepEqual(a.send(`${ip}:${portB}`, "over"), expected);
    assert.deepEqual(world.hints, ["offload 4000 to client", "offload 4008 to client"]);
    assert.equal(world.fromPeer(`${ip}:${portA}`, portB, "forged"), undefined, "not by socket");
    b.refresh(0);
    assert.equal(a.channelData(0x4000, "x"), undefined, "nobody is there any more");
    assert.equal(a.bind(0x4000, `${ip}:${portB}`).code, 403);
    assert.equal(a.bind(0x4001, `${ip}:22`).code, 403, "the host's services are out of reach");
    assert.equal(a.send(`${ip}:22`, "x"), undefined);
  }
});

test("hand-over between families and from streams", () => {
  const world = new World();
  const six = new Client(world, "[2a00::5]:1", { transport: "tcp", connection: 9, local: "[2a01:4f8::1]:3478" });
  const both = (w: { u32(type: number, value: number): unknown }) => w.u32(Attribute.AdditionalAddressFamily, 2 << 24);
  const [, sixAt] = six.allocate(both).relayed;
  const four = new Client(world);
  const [, fourAt] = four.allocate(both).relayed;
  assert.ok(six.bind(0x4000, formatAddress(fourAt as never)).ok);
  assert.ok(four.bind(0x4001, formatAddress(sixAt as never)).ok);
  assert.equal(six.channelData(0x4000, "x")?.channel, 0x4001);
});

test("the host's own addresses are opened by naming them, not by a range around them", () => {
  const own = { ownAddresses: [address("9.9.9.1:0"), address("192.168.7.5:0")] };
  const peers = (...texts: string[]) => ({ ...own, peers: { allow: open(...texts), deny: [], ports: undefined } });
  const range = allocated(peers("192.168.0.0/16")).client;
  assert.equal(range.permit("192.168.7.6").code, 0);
  assert.equal(range.permit("192.168.7.5").code, 403);
  assert.equal(range.permit("127.0.0.1").code, 403);
  assert.equal(allocated(peers("192.168.7.5")).client.permit("192.168.7.5").code, 0);
  const loopback = allocated(peers("127.0.0.0/8"));
  assert.ok(loopback.client.bind(0x4000, "127.0.0.1:7").ok);
  assert.equal(loopback.client.channelData(0x4000, "x")?.to, "127.0.0.1:7");
  assert.equal(loopback.world.fromPeer("127.0.0.1:7", loopback.port, "x")?.payload, "x");
  assert.equal(allocated(peers("0.0.0.0/0")).client.permit("127.0.0.1").code, 403);
});

test("the operator's deny and port lists", () => {
  const peers = { allow: open("8.8.8.8"), deny: open("8.8.0.0/16"), ports: { min: 1024, max: 65535 } };
  const { client } = allocated({ peers });
  assert.equal(client.permit("8.8.4.4").code, 403);
  assert.equal(client.permit("8.8.8.8").code, 0);
  assert.equal(client.bind(0x4000, "8.8.8.8:53").code, 403);
  assert.equal(client.send("8.8.8.8:53", "x"), undefined);
  assert.ok(client.send("8.8.8.8:5300", "x"));
});

test("bandwidth of an allocation is limited in each direction, and lets any one datagram through", () => {
  const { world, client, port } = allocated({ quotas: { ...baseConfig.quotas, bytesPerSecond: 10_000 } });
  client.bind(0x4000, `${PEER}:9`);
  const large = "x".repeat(65_000);
  assert.ok(client.channelData(0x4000, large), "a burst holds the longest datagram");
  assert.equal(client.channelData(0x4000, "12345678".repeat(100)), undefined);
  assert.equal(client.send(`${PEER}:9`, "12345678".repeat(100)), undefined);
  assert.ok(world.fromPeer(`${PEER}:9`, port, large));
  assert.equal(world.fromPeer(`${PEER}:9`, port, "12345678".repeat(100)), undefined);
  world.advance(1);
  assert.ok(client.channelData(0x4000, "x".repeat(10_000)));
  assert.equal(client.channelData(0x4000, "x".repeat(10_000)), undefined);
  assert.equal(world.server.stats.drops.bandwidth, 4);
});

test("RFC 8489 §6.3.2: a Send indication with an unknown attribute that must be understood is discarded", () => {
  const { client } = allocated();
  client.permit(PEER);
  assert.equal(
    client.send(`${PEER}:5`, "x", (w) => w.u32(0x7001, 0)),
    undefined,
  );
  assert.ok(
    client.send(`${PEER}:5`, "x", (w) => w.u32(0xc001, 0)),
    "one that need not be",
  );
  const able = allocated({ dontFragment: true }).client;
  able.permit(PEER);
  assert.ok(able.send(`${PEER}:5`, "x", (w) => w.bytes(Attribute.DontFragment, new Uint8Array(0))));
});

test("IPv6 outside what IANA has opened is nobody's, and a wide exception does not reach into embeddings", () => {
  const own = { ownAddresses: [address("9.9.9.1:0"), address("198.41.0.4:0")] };
  const six = (allow: string[], deny: string[] = []) => {
    const peers = { allow: open(...allow), deny: open(...deny), ports: undefined };
    const client = new Client(new World({ ...own, peers }));
    client.allocated((w) => w.u32(Attribute.RequestedAddressFamily, 2 << 24));
    return (peer: string) => client.permit(peer).code;
  };
  const usual = six([]);
  for (const peer of ["1::1", "200::1", "4000::1", "64:ff9b:2::1", "::ffff:0:8.8.8.8"])
    assert.equal(usual(peer), 403, peer);
  assert.equal(usual("64:ff9b::8.8.8.8"), 0);
  assert.equal(usual("2a00::1"), 0);
  const wide = six(["::/0"], ["8.8.4.0/24"]);
  assert.equal(wide("fd00::1"), 0);
  for (const peer of [
    "64:ff9b::198.41.0.4",
    "2002:c629:4::1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::8.8.4.4",
    "::ffff:0:10.0.0.1",
  ]) {
    assert.equal(wide(peer), 403, peer);
  }
  const meant = six(["64:ff9b::/96"]);
  assert.equal(meant("64:ff9b::10.0.0.1"), 0, "an exception for the embedding itself");
  assert.equal(meant("64:ff9b::198.41.0.4"), 403, "but the host is not opened by it");
  assert.equal(meant("64:ff9b::0.0.0.1"), 403);
});

test("counters of a flow and of the server agree", () => {
  const { world, client, port } = allocated();
  client.bind(0x4000, `${PEER}:9`);
  for (let i = 0; i < 5; i++) client.channelData(0x4000, "abc");
  world.fromPeer(`${PEER}:9`, port, "abcd");
  const { packetsToPeers, bytesToPeers, packetsToClients, bytesToClients } = world.server.stats;
  assert.deepEqual([packetsToPeers, bytesToPeers, packetsToClients, bytesToClients], [5, 15, 1, 4]);
});
