import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { Attribute, Method } from "../../../../src/core/stun/registry.ts";
import { address, baseConfig, Client, PEER, PEER6, SECRET, World } from "./world.ts";

const ended = (world: World): string[] =>
  world.events.flatMap((e) => (e.type === "allocation-ended" ? [e.reason] : []));

test("RFC 8656 §8.2: Refresh prolongs, and zero deletes", () => {
  const world = new World();
  const client = new Client(world);
  client.allocated();
  world.advance(500);
  assert.equal(client.refresh(1000).lifetime, 1000);
  world.advance(999);
  assert.equal(world.server.stats.allocations, 1);
  assert.equal(client.refresh(0).lifetime, 0);
  assert.equal(world.server.stats.allocations, 0);
  assert.equal(world.relays.size, 0);
  assert.deepEqual(ended(world), ["refreshed-to-zero"]);
  assert.equal(client.refresh().code, 437, "RFC 8656 §5: there is no allocation");
});

test("RFC 8656 §8: an allocation that is not refreshed expires with all that it has", () => {
  const world = new World();
  const client = new Client(world);
  client.allocated();
  client.bind(0x4001, `${PEER}:9`);
  world.advance(599);
  assert.equal(world.server.stats.allocations, 1);
  world.advance(2);
  assert.deepEqual(ended(world), ["expired"]);
  const { allocations, permissions, channels } = world.server.stats;
  assert.deepEqual({ allocations, permissions, channels }, { allocations: 0, permissions: 0, channels: 0 });
  assert.equal(world.server.pollTimeout(), undefined, "no deadline is left");
});

test("RFC 8656 §8.2: a dual allocation is refreshed and deleted by family; a family it has not is 443", () => {
  const world = new World();
  const client = new Client(world);
  client.allocated((w) => w.u32(Attribute.AdditionalAddressFamily, 2 << 24));
  client.permit(PEER, PEER6);
  const family = (code: number) => (w: { u32(type: number, value: number): unknown }) =>
    w.u32(Attribute.RequestedAddressFamily, code << 24);
  assert.ok(client.refresh(0, family(2)).ok);
  assert.equal(world.relays.size, 1);
  assert.equal(world.server.stats.permissions, 1, "the family's permissions went with it");
  assert.equal(client.refresh(600, family(2)).code, 443);
  assert.equal(client.refresh(600, family(3)).code, 443);
  assert.ok(client.refresh(600, family(1)).ok);
  world.advance(300);
  assert.equal(client.refresh(0).lifetime, 0);
  assert.equal(world.server.stats.allocations, 0);
  assert.equal(client.refresh(0).code, 437);
});

test("RFC 8656 §8.2: a malformed LIFETIME is 400", () => {
  const client = new Client(new World());
  client.allocated();
  assert.equal(client.refresh(undefined, (w) => w.bytes(Attribute.Lifetime, new Uint8Array(3))).code, 400);
});

test("a time-limited name allocates before its expiry, and its session ends with it when that is wanted", () => {
  const world = new World({ sharedSecrets: [SECRET], sessionBeyondExpiry: 0 });
  const client = Client.timeLimited(world, "5.6.7.8:1", world.unix + 900);
  client.allocated();
  world.advance(500);
  assert.equal(client.refresh(3600).lifetime, 400, "the lifetime ends with the credential");
  world.advance(401);
  assert.deepEqual(ended(world), ["credentials-expired"]);
  // In its last second too: what could be granted then would be a lifetime of 0.
  for (const [port, left] of [-1, 0, 1].entries()) {
    const late = Client.timeLimited(world, `5.6.7.8:${port + 2}`, world.unix + left);
    assert.equal(late.allocate().code, 401, `${left} s left`);
  }
});

test("a session may go on past its credential's expiry for as long as is configured, and Refresh 0 always works", () => {
  const world = new World({ sharedSecrets: [SECRET], sessionBeyondExpiry: 1000 });
  const client = Client.timeLimited(world, "5.6.7.8:1", world.unix + 100);
  client.allocated();
  world.advance(500);
  assert.equal(client.refresh(600).lifetime, 600);
  world.advance(550);
  assert.equal(client.refresh(600).lifetime, 50);
  assert.ok(client.refresh(0).ok);
  assert.deepEqual(ended(world), ["refreshed-to-zero"]);
});

test("secrets rotate: several are good at once, and a session ends with the secret that made it", () => {
  const next = { secret: encodeUtf8("south wind"), hash: "sha256" } as const;
  const world = new World({ sharedSecrets: [SECRET, next], users: false });
  const old = Client.timeLimited(world, "5.6.7.8:1", world.unix + 100);
  const fresh = Client.timeLimited(world, "5.6.7.8:2", world.unix + 100, next);
  old.allocated();
  fresh.allocated();
  world.server.handleSecrets([next], world.now);
  world.drain();
  assert.deepEqual(ended(world), ["credentials-revoked"]);
  assert.equal(old.refresh().code, 401, "the secret is forgotten");
  assert.ok(fresh.refresh().ok);
});

test("a user who is removed loses every session, and nobody else's", () => {
  const world = new World({ sharedSecrets: [SECRET] });
  new Client(world, "5.6.7.8:1").allocated();
  new Client(world, "5.6.7.8:2").allocated();
  Client.timeLimited(world, "5.6.7.8:3", world.unix + 100, SECRET, "alice").allocated();
  world.users.delete("alice");
  world.server.handleUserRemoved("alice", world.now);
  world.drain();
  assert.equal(world.server.stats.allocations, 1);
  assert.equal(new Client(world, "5.6.7.8:4").allocate().code, 401);
});

test("a stream's allocation ends when the stream closes", () => {
  const world = new World();
  const client = new Client(world, "5.6.7.8:1", { transport: "tls", connection: 3 });
  const other = new Client(world, "5.6.7.8:1", { transport: "tls", connection: 4 });
  client.allocated();
  other.allocated();
  world.server.handleClientClosed(client.path, world.now);
  world.drain();
  assert.deepEqual(ended(world), ["client-closed"]);
  assert.ok(other.refresh().ok);
});

test("addresses that leave the host take their allocations with them; the others stay", () => {
  const world = new World();
  const four = new Client(world, "5.6.7.8:1");
  four.allocated();
  new Client(world, "5.6.7.8:2").allocated((w) => w.u32(Attribute.RequestedAddressFamily, 2 << 24));
  const dual = new Client(world, "5.6.7.8:3");
  dual.allocated((w) => w.u32(Attribute.AdditionalAddressFamily, 2 << 24));
  const left = baseConfig.relays.slice(0, 1);
  world.server.handleAddresses(
    left,
    left.map((r) => r.bound),
    world.now,
  );
  world.drain();
  assert.deepEqual(ended(world), ["address-gone"]);
  assert.ok(four.refresh().ok);
  assert.ok(dual.refresh().ok);
  assert.equal(world.relays.size, 2);
});

test("an address that becomes the host's own is no peer any more", () => {
  const world = new World();
  const client = new Client(world);
  client.allocated();
  client.bind(0x4000, `${PEER}:9`);
  client.permit("8.8.8.8");
  assert.ok(client.channelData(0x4000, "x"));
  world.server.handleAddresses(baseConfig.relays, [...baseConfig.ownAddresses, address(`${PEER}:0`)], world.now);
  world.drain();
  assert.equal(client.channelData(0x4000, "x"), undefined);
  assert.equal(world.server.stats.permissions, 1);
  assert.deepEqual(world.hints.slice(-2), ["withdraw 4000 to peer", "withdraw 4000 to client"]);
});

test("a relay that dies ends its allocation and says why", () => {
  const world = new World();
  const port = new Client(world).allocated();
  const id = world.relayAt(port);
  world.server.handleRelayFailed(id, "exhausted", world.now);
  world.drain();
  assert.deepEqual(ended(world), ["relay-failed"]);
  assert.equal(world.relays.size, 0);
});

test("closing ends everything and leaves nothing", () => {
  const world = new World();
  new Client(world).allocated((w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0x80)));
  new Client(world, "5.6.7.8:2").allocated();
  world.server.close(world.now);
  world.drain();
  assert.deepEqual(ended(world), ["shutdown", "shutdown"]);
  assert.equal(world.relays.size, 0);
  assert.equal(world.server.pollTimeout(), undefined);
  assert.equal(new Client(world, "5.6.7.8:3").allocate().code, 508);
});

test("the end of an allocation tells what it carried", () => {
  const world = new World();
  const client = new Client(world);
  const port = client.allocated();
  client.bind(0x4000, `${PEER}:9`);
  client.channelData(0x4000, "four");
  client.send(`${PEER}:10`, "fives");
  world.fromPeer(`${PEER}:9`, port, "to the client");
  client.refresh(0);
  const event = world.events.find((e) => e.type === "allocation-ended");
  assert.deepEqual(event?.type === "allocation-ended" && event.traffic, {
    packetsToPeers: 2,
    bytesToPeers: 9,
    packetsToClient: 1,
    bytesToClient: 13,
  });
});

test("refused requests are told to the operator with a reason", () => {
  const world = new World();
  const client = new Client(world);
  client.allocated();
  client.permit("10.0.0.1");
  const refused = world.events.find((e) => e.type === "refused");
  assert.ok(refused?.type === "refused" && refused.code === 403 && refused.method === Method.CreatePermission);
  assert.match(refused.why, /not allowed/);
});

test("a user who is removed while a look-up is under way is asked about again", () => {
  const world = new World();
  world.answerLookups = false;
  const client = new Client(world);
  client.raw(client.sealed(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24)));
  const before = world.lookups[0]?.query as never;
  world.server.handleUserRemoved("alice", world.now);
  world.drain();
  world.server.handleKey(before, world.keysOf("alice"), world.now);
  world.drain();
  assert.equal(world.server.stats.allocations, 0, "the former answer counts no more");
  assert.equal(world.lookups.length, 2);
  world.server.handleKey(world.lookups[1]?.query as never, undefined, world.now);
  world.drain();
  assert.equal(world.server.stats.errors[401], 2);
});

test("a client that leaves while a look-up is under way leaves nothing behind", () => {
  const world = new World();
  world.answerLookups = false;
  const client = new Client(world, "5.6.7.8:1", { transport: "tcp", connection: 5 });
  client.raw(client.sealed(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24)));
  world.server.handleClientClosed(client.path, world.now);
  world.server.handleKey(world.lookups[0]?.query as never, world.keysOf("alice"), world.now);
  world.drain();
  assert.equal(world.relays.size, 0);
});

test("a listener that closes takes its clients' allocations with it", () => {
  const world = new World();
  const client = new Client(world);
  client.allocated();
  world.server.handleListenerClosed(client.path.listener + 1, world.now);
  world.drain();
  assert.equal(world.server.stats.allocations, 1);
  world.server.handleListenerClosed(client.path.listener, world.now);
  world.drain();
  assert.deepEqual(ended(world), ["address-gone"]);
});

test("a retransmitted Allocate does not offer a reservation that is over", () => {
  const world = new World();
  const client = new Client(world);
  assert.ok(
    client.allocate((w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0x80))).view.has(Attribute.ReservationToken),
  );
  assert.ok(client.raw(client.last)[0]?.view.has(Attribute.ReservationToken));
  world.advance(31);
  assert.equal(client.raw(client.last)[0]?.view.has(Attribute.ReservationToken), false);
});
