import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { messageId, StunWriter } from "../../../../src/core/stun/writer.ts";
import { address, PEER } from "../server/world.ts";
import { Pair } from "./pair.ts";

const peer = `${PEER}:9000`;

function allocated() {
  const pair = new Pair();
  pair.allocated();
  pair.client.permit(address(peer), pair.now);
  pair.run(1);
  return pair;
}

function errors({ events }: Pair): string[] {
  return events.flatMap((event) =>
    event.type === "peer-error"
      ? [`${formatAddress(event.peer)} ${event.icmp.type}/${event.icmp.code} ${event.icmp.mtu}`]
      : [],
  );
}

/** What the server's indication would be, but for its attributes. */
function tell(pair: Pair, build: (writer: StunWriter) => StunWriter): void {
  const writer = new StunWriter().begin(Method.Data, MessageClass.Indication, messageId(new Uint8Array(12)));
  const data = build(writer).finish();
  assert.equal(pair.client.handleServerDatagram(data, data.length, pair.now), undefined);
  pair.run(0);
}

test("RFC 8656 §11.6: what the server hears of a peer that it does not reach, the application hears", () => {
  const pair = allocated();
  const { server } = pair.world;
  const relay = [...pair.world.relays.keys()][0]!;
  server.handlePeerError(address(peer), relay, { type: 3, code: 3, mtu: 77 }, pair.now);
  server.handlePeerError(address(peer), relay, { type: 3, code: 4, mtu: 1_280 }, pair.now);
  pair.world.drain();
  for (const { data } of pair.world.sent.splice(0)) pair.client.handleServerDatagram(data, data.length, pair.now);
  pair.run(0);
  assert.deepEqual(errors(pair), [`${peer} 3/3 0`, `${peer} 3/4 1280`]);
});

test("RFC 8656 §11.6: of an address without a permission nothing is told", () => {
  const pair = allocated();
  const icmp = Uint8Array.of(0, 0, 6, 1, 0, 0, 0, 0);
  tell(pair, (w) => w.xorAddress(Attribute.XorPeerAddress, address("8.8.8.8:1")).bytes(Attribute.Icmp, icmp));
  assert.deepEqual(errors(pair), []);
  assert.equal(pair.client.drops["no-permission"], 1);
});

test("RFC 8656 §18.13: reserved bits are ignored, and what has another length is discarded", () => {
  const pair = allocated();
  const of = (...icmp: number[]) =>
    tell(pair, (w) =>
      w.xorAddress(Attribute.XorPeerAddress, address(peer)).bytes(Attribute.Icmp, Uint8Array.from(icmp)),
    );
  of(255, 255, 6, 1, 9, 9, 9, 9);
  assert.deepEqual(errors(pair), [`${peer} 3/1 0`]);
  of(0, 0, 6, 1);
  of();
  of(0, 0, 6, 1, 0, 0, 0, 0, 0);
  tell(pair, (w) => w.xorAddress(Attribute.XorPeerAddress, address(peer)));
  tell(pair, (w) => w.bytes(Attribute.Icmp, Uint8Array.of(0, 0, 6, 1, 0, 0, 0, 0)));
  assert.deepEqual(errors(pair).length, 1);
  assert.equal(pair.client.drops.malformed, 5);
});
