import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import { DONT_FRAGMENT, type IpFields, ipFieldsOf, NO_FIELDS } from "../../../../src/core/base/ip-fields.ts";
import { Attribute, FAMILY_IPV6, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { address, Client, type ClientOptions, PEER, PEER6, World } from "./world.ts";

const came = ipFieldsOf(0xb9, 57);
const goes = ipFieldsOf(0xb9, 56);
const spent = ipFieldsOf(0xb9, 1);

function allocated(world: World, at = "5.6.7.8:1000", options: ClientOptions = {}) {
  const client = new Client(world, at, options);
  return { world, client, port: client.allocated() };
}

function channelData(channel: number): Uint8Array {
  return Uint8Array.of(channel >> 8, channel & 255, 0, 1, 7);
}

function sendIndication(client: Client, peer: string, dontFragment = false): Uint8Array {
  return client.plain(
    Method.Send,
    (w) => {
      w.xorAddress(Attribute.XorPeerAddress, address(peer)).bytes(Attribute.Data, new Uint8Array(3));
      if (dontFragment) w.bytes(Attribute.DontFragment, new Uint8Array(0));
    },
    MessageClass.Indication,
  );
}

/** With what it leaves; undefined when it does not. */
function fromClient(client: Client, data: Uint8Array, fields?: IpFields): IpFields | undefined {
  const { server, now } = client.world;
  return server.handleClientDatagram(data, data.length, client.path, now, undefined, fields)?.fields;
}

function fromPeer(world: World, peer: string, port: number, fields?: IpFields): IpFields | undefined {
  const forward = world.server.handlePeerDatagram(
    new Uint8Array(3),
    3,
    address(peer),
    world.relayAt(port),
    world.now,
    fields,
  );
  if (forward !== undefined) return forward.fields;
  const output = world.server.pollOutput();
  return output?.kind === "send" ? output.fields : undefined;
}

test("RFC 8656 §14: traffic class and hop limit go on with a channel's data, both ways", () => {
  const { world, client, port } = allocated(new World());
  client.bind(0x4001, `${PEER}:9000`);
  assert.equal(fromClient(client, channelData(0x4001), came), goes);
  assert.equal(fromClient(client, channelData(0x4001)), NO_FIELDS);
  assert.equal(fromPeer(world, `${PEER}:9000`, port, came), goes);
  assert.equal(fromPeer(world, `${PEER}:9000`, port), NO_FIELDS);
});

test("RFC 8656 §14: and with Send and Data indications", () => {
  const { world, client, port } = allocated(new World({ dontFragment: true }));
  client.permit(PEER);
  assert.equal(fromClient(client, sendIndication(client, `${PEER}:9`), came), goes);
  assert.equal(fromClient(client, sendIndication(client, `${PEER}:9`, true), came), goes | DONT_FRAGMENT);
  assert.equal(fromPeer(world, `${PEER}:9`, port, came), goes);
});

test("RFC 8656 §13: the same from one family to the other", () => {
  const world = new World();
  const client = new Client(world, "5.6.7.8:1000");
  client.allocated((w) => w.u32(Attribute.RequestedAddressFamily, FAMILY_IPV6 << 24));
  client.permit(PEER6);
  assert.equal(fromClient(client, sendIndication(client, `[${PEER6}]:9`), came), goes);
});

test("RFC 8656 §16: to a client over a stream nothing goes on, and no hops are counted", () => {
  const { world, client, port } = allocated(new World(), "5.6.7.8:1000", { transport: "tcp", connection: 7 });
  client.bind(0x4001, `${PEER}:9000`);
  assert.equal(fromPeer(world, `${PEER}:9000`, port, spent), NO_FIELDS);
  assert.equal(fromPeer(world, `${PEER}:9000`, port, came), NO_FIELDS);
  assert.equal(fromPeer(world, `${PEER}:9001`, port, came), NO_FIELDS);
});

test("from one client of the relay to the other it is one hop", () => {
  const world = new World();
  const [one, other] = [allocated(world), allocated(world, "5.6.7.9:1000")];
  const relayOf = ({ port }: { port: number }) => formatAddress(world.relays.get(world.relayAt(port))!);
  one.client.bind(0x4001, relayOf(other));
  other.client.bind(0x4002, relayOf(one));
  assert.equal(fromClient(one.client, channelData(0x4001), came), goes);
  other.client.permit(PEER);
  one.client.permit(PEER);
  assert.equal(fromClient(one.client, sendIndication(one.client, relayOf(other)), came), goes);
});

test("what has no hops left is dropped, in every way, and costs nobody's bandwidth", () => {
  const { world, client, port } = allocated(new World());
  client.bind(0x4001, `${PEER}:9000`);
  const { stats } = world.server;
  assert.equal(fromClient(client, channelData(0x4001), spent), undefined);
  assert.equal(fromClient(client, sendIndication(client, `${PEER}:9`), spent), undefined);
  assert.equal(fromPeer(world, `${PEER}:9000`, port, spent), undefined);
  assert.equal(fromPeer(world, `${PEER}:9`, port, spent), undefined);
  assert.equal(stats.drops["hop-limit"], 4);
  assert.deepEqual([stats.packetsToPeers, stats.packetsToClients], [0, 0]);
});
