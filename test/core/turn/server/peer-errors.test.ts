import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, blankAddress, formatAddress } from "../../../../src/core/base/address.ts";
import { Attribute, FAMILY_IPV4, FAMILY_IPV6, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { StunView } from "../../../../src/core/stun/view.ts";
import { address, Client, PEER, PEER6, World } from "./world.ts";

const unreachable = { type: 3, code: 3, mtu: 1400 };

class Told {
  readonly world = new World();
  readonly client = new Client(this.world, "5.6.7.8:1000");
  readonly port: number;

  constructor(family: 4 | 6 = 4) {
    const number = family === 6 ? FAMILY_IPV6 : FAMILY_IPV4;
    this.port = this.client.allocated((w) => w.u32(Attribute.RequestedAddressFamily, number << 24));
  }

  /** What the client is sent because of an ICMP message: of which peer, and the attribute's value. */
  icmp(to: string, error: { type: number; code: number; mtu: number }, relay = this.world.relayAt(this.port)) {
    this.world.sent.length = 0;
    const lent: Address = address(to);
    this.world.server.handlePeerError(lent, relay, error, this.world.now);
    lent.port = 0;
    this.world.drain();
    return this.world.sent.map(({ to: path, data }) => {
      const view = new StunView();
      assert.equal(view.decode(data), undefined);
      assert.deepEqual([view.method, view.class, view.attributeCount], [Method.Data, MessageClass.Indication, 2]);
      const peer = blankAddress();
      assert.ok(view.xorAddressAt(view.indexOf(Attribute.XorPeerAddress), peer));
      const value = Buffer.from(view.bytes(0x8004) as Uint8Array).toString("hex");
      return `${formatAddress(path.remote)} hears of ${formatAddress(peer)}: ${value}`;
    });
  }
}

test("RFC 8656 §11.5: an ICMP message becomes a Data indication with an ICMP attribute", () => {
  const told = new Told();
  told.client.permit(PEER);
  // RFC 8656 §18.13: seven bits of the type, nine of the code; the error data is zero, but for an MTU.
  assert.deepEqual(told.icmp(`${PEER}:9`, unreachable), [`5.6.7.8:1000 hears of ${PEER}:9: 0000060300000000`]);
  assert.deepEqual(told.icmp(`${PEER}:9`, { type: 11, code: 0, mtu: 9 }), [
    `5.6.7.8:1000 hears of ${PEER}:9: 0000160000000000`,
  ]);
  assert.deepEqual(told.icmp(`${PEER}:9`, { type: 3, code: 4, mtu: 1400 }), [
    `5.6.7.8:1000 hears of ${PEER}:9: 0000060400000578`,
  ]);
});

test("RFC 8656 §11.5: ICMPv6 has other types, and its MTU another", () => {
  const told = new Told(6);
  told.client.permit(PEER6);
  const hears = (value: string) => [`5.6.7.8:1000 hears of [${PEER6}]:9: ${value}`];
  assert.deepEqual(told.icmp(`[${PEER6}]:9`, { type: 1, code: 4, mtu: 1 }), hears("0000020400000000"));
  assert.deepEqual(told.icmp(`[${PEER6}]:9`, { type: 2, code: 0, mtu: 0x12345678 }), hears("0000040012345678"));
  assert.deepEqual(told.icmp(`[${PEER6}]:9`, { type: 3, code: 4, mtu: 1 }), hears("0000060400000000"));
  assert.deepEqual(told.icmp(`[${PEER6}]:9`, { type: 4, code: 0, mtu: 0 }), [], "a parameter problem");
  assert.deepEqual(told.icmp(`[${PEER6}]:9`, { type: 11, code: 0, mtu: 0 }), [], "an ICMPv4 type");
  // RFC 4443 §2.1: from 128 on they tell of no error; these would be types of errors in seven bits.
  for (const type of [128, 129, 130, 131, 255]) {
    assert.deepEqual(told.icmp(`[${PEER6}]:9`, { type, code: 0, mtu: 0 }), []);
  }
});

test("RFC 8656 §11.5: other types, other allocations and peers without a permission are silently dropped", () => {
  const told = new Told();
  const { drops } = told.world.server.stats;
  assert.deepEqual(told.icmp(`${PEER}:9`, unreachable), []);
  assert.equal(drops["no-permission"], 1);
  told.client.permit(PEER);
  for (const type of [0, 1, 2, 4, 5, 8, 12]) assert.deepEqual(told.icmp(`${PEER}:9`, { ...unreachable, type }), []);
  assert.equal(drops.unexpected, 7);
  // What would be an error's type if it had seven bits alone.
  for (const type of [128 + 3, 128 + 11, 255]) assert.deepEqual(told.icmp(`${PEER}:9`, { ...unreachable, type }), []);
  assert.equal(drops.unexpected, 10);
  assert.deepEqual(told.icmp(`${PEER}:9`, unreachable, 4711), []);
  assert.equal(drops["no-allocation"], 1);
  assert.equal(told.icmp(`${PEER}:10`, unreachable).length, 1, "ports are not considered");
  told.world.advance(301);
  assert.deepEqual(told.icmp(`${PEER}:9`, unreachable), [], "the permission is over");
});

test("a client is told of ten ICMP messages a second, and others as many", () => {
  const told = new Told();
  told.client.permit(PEER);
  const other = new Client(told.world, "5.6.7.9:1000");
  const port = other.allocated();
  other.permit(PEER);
  const flood = (relay?: number) =>
    Array.from({ length: 30 }, () => told.icmp(`${PEER}:9`, unreachable, relay)).flat().length;
  assert.equal(flood(), 10);
  assert.equal(told.world.server.stats.drops["over-budget"], 20);
  assert.equal(flood(told.world.relayAt(port)), 10);
  told.world.advance(0.5);
  assert.equal(flood(), 5);
});
