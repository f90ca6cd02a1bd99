import assert from "node:assert/strict";
import { test } from "node:test";
import { mustNotFragment } from "../../../../src/core/base/ip-fields.ts";
import { Attribute, FAMILY_IPV4, FAMILY_IPV6, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { address, Client, type ClientOptions, PEER, PEER6, World } from "./world.ts";

/** Whether what a Send indication brings may be cut up on its way. */
function mayBeCut(at: string, peer: string, options: ClientOptions = {}, isAsked = true): boolean {
  const world = new World({ dontFragment: true });
  const client = new Client(world, at, options);
  const family = peer === PEER ? FAMILY_IPV4 : FAMILY_IPV6;
  client.allocated((w) => w.u32(Attribute.RequestedAddressFamily, family << 24));
  client.permit(peer);
  const send = (dontFragment: boolean) => {
    const data = client.plain(
      Method.Send,
      (w) => {
        w.xorAddress(Attribute.XorPeerAddress, address(peer === PEER ? `${PEER}:9` : `[${PEER6}]:9`));
        w.bytes(Attribute.Data, new Uint8Array(3));
        if (dontFragment) w.bytes(Attribute.DontFragment, new Uint8Array(0));
      },
      MessageClass.Indication,
    );
    const forward = world.server.handleClientDatagram(data, data.length, client.path, world.now);
    assert.equal(forward?.length, 3);
    return !mustNotFragment(forward.fields);
  };
  // There is one object in which payloads are handed out.
  send(!isAsked);
  return send(isAsked);
}

test("RFC 8656 §14: what comes in a Send indication with DONT-FRAGMENT is not cut up, from IPv4 to IPv4", () => {
  assert.equal(mayBeCut("5.6.7.8:1000", PEER), false);
  assert.equal(mayBeCut("5.6.7.8:1000", PEER, {}, false), true);
});

test("RFC 8656 §13: where a family changes, and from IPv6 to IPv6, DONT-FRAGMENT is ignored", () => {
  const six = { local: "[2a01:4f8::1]:3478" };
  assert.equal(mayBeCut("5.6.7.8:1000", PEER6), true);
  assert.equal(mayBeCut("[2a00::1]:1000", PEER, six), true);
  assert.equal(mayBeCut("[2a00::1]:1000", PEER6, six), true);
});

test("RFC 8656 §15: over TCP DONT-FRAGMENT counts whatever carries the TCP", () => {
  const tcp = { transport: "tcp", connection: 7 } as const;
  assert.equal(mayBeCut("5.6.7.8:1000", PEER, tcp), false);
  assert.equal(mayBeCut("[2a00::1]:1000", PEER, { ...tcp, local: "[2a01:4f8::1]:3478" }), false);
});
