import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, formatIp } from "../../../../src/core/base/address.ts";
import { Attribute, Method } from "../../../../src/core/stun/registry.ts";
import { address, baseConfig, Client, World } from "./world.ts";

test("RFC 8656 §7.2: an allocation has a relayed address, a lifetime and the client's mapped address", () => {
  const world = new World();
  const answer = new Client(world).allocate();
  assert.ok(answer.ok);
  assert.equal(answer.relayed.length, 1);
  assert.equal(formatIp(answer.relayed[0] as never), "9.9.9.1");
  assert.equal(answer.lifetime, 600);
  assert.deepEqual(answer.addresses(Attribute.XorMappedAddress).map(formatAddress), ["5.6.7.8:1000"]);
  assert.equal(world.server.stats.allocations, 1);
  assert.equal(world.relays.size, 1);
});

test("RFC 8656 §7.2 (2): a retransmission gets the same answer, another Allocate 437", () => {
  const world = new World();
  const client = new Client(world);
  const first = client.allocate();
  const [again] = client.raw(client.last);
  assert.deepEqual(again?.data, first.data);
  assert.equal(client.allocate().code, 437);
  assert.equal(world.relays.size, 1);
});

test("RFC 8656 §7.2: a retransmission while the socket is being opened makes no second allocation", () => {
  const world = new World();
  world.fates = ["late"];
  const client = new Client(world);
  const request = client.sealed(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24));
  assert.deepEqual(client.raw(request), []);
  assert.deepEqual(client.raw(request), []);
  assert.equal(world.waiting.length, 1);
  world.bindNow(world.waiting[0] as never);
  assert.equal(world.sent.length, 2, "the challenge and one success");
  assert.equal(world.server.stats.allocations, 1);
});

test("RFC 8656 §7.2 (3): REQUESTED-TRANSPORT is 400 when missing or malformed, 442 when not UDP", () => {
  const client = new Client(new World());
  assert.equal(client.request(Method.Allocate).code, 400);
  assert.equal(
    client.request(Method.Allocate, (w) => w.bytes(Attribute.RequestedTransport, Uint8Array.of(17))).code,
    400,
  );
  assert.equal(client.request(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 6 << 24)).code, 442);
});

test("RFC 8656 §7.2 (4): DONT-FRAGMENT is an unknown attribute where DF cannot be set", () => {
  const answer = new Client(new World()).allocate((w) => w.bytes(Attribute.DontFragment, new Uint8Array(0)));
  assert.equal(answer.code, 420);
  assert.deepEqual([...(answer.view.bytes(Attribute.UnknownAttributes) ?? [])], [0x00, 0x1a]);
  const able = new Client(new World({ dontFragment: true }));
  assert.ok(able.allocate((w) => w.bytes(Attribute.DontFragment, new Uint8Array(0))).ok);
});

test("RFC 8656 §7.2 (5): a RESERVATION-TOKEN stands alone and must be good", () => {
  const token = (w: { bytes(type: number, value: Uint8Array): unknown }) =>
    w.bytes(Attribute.ReservationToken, new Uint8Array(8));
  const client = new Client(new World());
  assert.equal(client.allocate(token).code, 508);
  assert.equal(
    client.allocate((w) => {
      token(w);
      w.bytes(Attribute.EvenPort, Uint8Array.of(0));
    }).code,
    400,
  );
  assert.equal(
    client.allocate((w) => {
      token(w);
      w.u32(Attribute.RequestedAddressFamily, 1 << 24);
    }).code,
    400,
  );
  assert.equal(client.allocate((w) => w.bytes(Attribute.ReservationToken, new Uint8Array(4))).code, 400);
});

test("RFC 8656 §7.2 (6, 8, 9): families that exclude each other are 400", () => {
  const client = new Client(new World());
  const both = client.allocate((w) =>
    w.u32(Attribute.RequestedAddressFamily, 1 << 24).u32(Attribute.AdditionalAddressFamily, 2 << 24),
  );
  assert.equal(both.code, 400);
  const pair = client.allocate((w) =>
    w.bytes(Attribute.EvenPort, Uint8Array.of(0x80)).u32(Attribute.AdditionalAddressFamily, 2 << 24),
  );
  assert.equal(pair.code, 400);
  assert.equal(client.allocate((w) => w.u32(Attribute.AdditionalAddressFamily, 1 << 24)).code, 400);
});

test("RFC 8656 §7.2 (7): a family that is unknown or not to be had is 440", () => {
  const only4 = { relays: baseConfig.relays.slice(0, 1) };
  const client = new Client(new World(only4));
  assert.equal(client.allocate((w) => w.u32(Attribute.RequestedAddressFamily, 2 << 24)).code, 440);
  assert.equal(client.allocate((w) => w.u32(Attribute.RequestedAddressFamily, 3 << 24)).code, 440);
  const only6 = new Client(new World({ relays: baseConfig.relays.slice(1) }));
  assert.equal(only6.allocate().code, 440);
});

test("RFC 8656 §7.2: IPv6 alone, and both families in one allocation", () => {
  const world = new World();
  const six = new Client(world).allocate((w) => w.u32(Attribute.RequestedAddressFamily, 2 << 24));
  assert.deepEqual(
    six.relayed.map((a) => a.family),
    [6],
  );
  const dual = new Client(world, "5.6.7.8:1001").allocate((w) => w.u32(Attribute.AdditionalAddressFamily, 2 << 24));
  assert.deepEqual(
    dual.relayed.map((a) => a.family),
    [4, 6],
  );
  assert.equal(dual.view.has(Attribute.AddressErrorCode), false);
});

test("RFC 8656 §7.2 (9): where one of two families fails, ADDRESS-ERROR-CODE says which and why", () => {
  const missing = new Client(new World({ relays: baseConfig.relays.slice(0, 1) }));
  const partial = missing.allocate((w) => w.u32(Attribute.AdditionalAddressFamily, 2 << 24));
  assert.ok(partial.ok);
  assert.deepEqual([...(partial.view.bytes(Attribute.AddressErrorCode) ?? [])], [2, 0, 4, 40]);
  const world = new World();
  world.fates = ["bound", "exhausted"];
  const full = new Client(world).allocate((w) => w.u32(Attribute.AdditionalAddressFamily, 2 << 24));
  assert.deepEqual(
    full.relayed.map((a) => a.family),
    [4],
  );
  assert.deepEqual([...(full.view.bytes(Attribute.AddressErrorCode) ?? [])], [2, 0, 5, 8]);
});

test("RFC 8656 §7.2: EVEN-PORT gives an even port", () => {
  const world = new World();
  for (let i = 0; i < 20; i++) {
    const port = new Client(world, `5.6.7.8:${2000 + i}`).allocated((w) =>
      w.bytes(Attribute.EvenPort, Uint8Array.of(0)),
    );
    assert.equal(port % 2, 0);
  }
  assert.equal(world.relays.size, 20, "nothing is reserved without R");
});

test("RFC 8656 §7.2: EVEN-PORT with R reserves the next port for the token's bearer, for 30 s", () => {
  const world = new World();
  const answer = new Client(world).allocate((w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0x80)));
  const token = answer.view.bytes(Attribute.ReservationToken)?.slice();
  assert.ok(token);
  const even = answer.relayed[0]?.port as number;
  assert.equal(even % 2, 0);
  const bearer = new Client(world, "5.6.7.8:1001");
  assert.equal(
    bearer.allocated((w) => w.bytes(Attribute.ReservationToken, token)),
    even + 1,
  );
  const late = new Client(world, "5.6.7.8:1002");
  assert.equal(late.allocate((w) => w.bytes(Attribute.ReservationToken, token)).code, 508, "a token is good once");
  world.advance(40);
  assert.equal(world.relays.size, 2, "what was claimed is kept");
});

test("RFC 8656 §7.2: a reservation that nobody claims is released, and is for its owner only", () => {
  const world = new World();
  world.users.set("mallory", "m");
  const answer = new Client(world).allocate((w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0x80)));
  const token = answer.view.bytes(Attribute.ReservationToken)?.slice() as Uint8Array;
  const thief = new Client(world, "5.6.7.8:1001", { username: "mallory", password: "m" });
  assert.equal(thief.allocate((w) => w.bytes(Attribute.ReservationToken, token)).code, 508);
  assert.equal(world.relays.size, 2);
  world.advance(31);
  assert.equal(world.relays.size, 1);
});

test("EVEN-PORT with R tries another pair when the successor is taken by others on the host", () => {
  const world = new World();
  world.fates = ["bound", "busy", "bound", "bound"];
  const answer = new Client(world).allocate((w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0x80)));
  assert.ok(answer.view.has(Attribute.ReservationToken));
  assert.equal(world.relays.size, 2);
  world.fates = ["bound", "exhausted"];
  const refused = new Client(world, "5.6.7.8:1001").allocate((w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0x80)));
  assert.equal(refused.code, 508);
  assert.equal(world.relays.size, 2, "the even port is given back too");
});

test("RFC 8656 §7.2: the lifetime is at least the default and at most the maximum", () => {
  const world = new World();
  const asked = (port: number, seconds: number) =>
    new Client(world, `5.6.7.8:${port}`).allocate((w) => w.u32(Attribute.Lifetime, seconds)).lifetime;
  assert.equal(asked(1, 1), 600);
  assert.equal(asked(2, 1200), 1200);
  assert.equal(asked(3, 99_999), 3600);
  const malformed = new Client(world, "5.6.7.8:4").allocate((w) => w.bytes(Attribute.Lifetime, new Uint8Array(2)));
  assert.equal(malformed.code, 400);
});

test("RFC 8656 §7.2 (10): quotas of the user, the source and the server are 486, and are given back", () => {
  const quotas = { ...baseConfig.quotas, allocations: 3, allocationsPerUser: 2, allocationsPerSource: 2 };
  const world = new World({ quotas });
  world.users.set("carol", "c");
  const carol = { username: "carol", password: "c" };
  const first = new Client(world, "5.6.7.8:1");
  first.allocated();
  new Client(world, "5.6.7.8:2").allocated();
  assert.equal(new Client(world, "1.2.3.4:1").allocate().code, 486, "the user's");
  assert.equal(new Client(world, "5.6.7.8:3", carol).allocate().code, 486, "the source's");
  new Client(world, "1.2.3.4:2", carol).allocated();
  assert.equal(new Client(world, "1.2.3.5:2", carol).allocate().code, 486, "the server's");
  first.refresh(0);
  new Client(world, "1.2.3.5:3", carol).allocated();
});

test("RFC 8656 §7.2 (11), RFC 8489 §10: 300 names the alternate server of the client's family", () => {
  const world = new World({ alternateServers: [address("[2a00::9]:3478"), address("9.9.9.9:3479")] });
  const answer = new Client(world).allocate();
  assert.equal(answer.code, 300);
  const at = address("0.0.0.0:0");
  assert.ok(answer.view.addressAt(answer.view.indexOf(Attribute.AlternateServer), at));
  assert.equal(formatAddress(at), "9.9.9.9:3479");
});

test("508 when ports or descriptors run out, and when the server drains", () => {
  const world = new World({ relayPorts: { min: 50000, max: 50001 } });
  world.fates = ["exhausted"];
  const client = new Client(world);
  assert.equal(client.allocate().code, 508);
  world.fates = ["busy"];
  assert.equal(client.allocate().code, 508, "after trying other ports");
  world.fates = ["bound"];
  client.allocated();
  new Client(world, "5.6.7.8:2").allocated();
  assert.equal(new Client(world, "5.6.7.8:3").allocate().code, 508);
  world.server.handleDrain(world.now);
  client.refresh(0);
  assert.equal(client.allocate().code, 508);
  assert.equal(world.server.stats.allocations, 1);
});

test("a port that somebody else holds is replaced by another", () => {
  const world = new World();
  world.fates = ["busy", "busy", "bound"];
  new Client(world).allocated();
  assert.equal(world.relays.size, 1);
});

test("a client that leaves while its socket is being opened leaves nothing behind", () => {
  const world = new World();
  world.fates = ["late"];
  const client = new Client(world, "5.6.7.8:1", { transport: "tcp", connection: 7 });
  client.raw(client.sealed(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24)));
  world.server.handleClientClosed(client.path, world.now);
  world.drain();
  world.bindNow(world.waiting[0] as never);
  assert.equal(world.relays.size, 0);
  assert.equal(world.server.stats.allocations, 0);
  assert.equal(world.server.pollTimeout(), undefined);
});

test("a relay that is told by its outside address", () => {
  const relays = [{ bound: address("10.0.0.5:0"), advertised: address("9.9.9.77:0") }];
  const world = new World({ relays });
  const answer = new Client(world).allocate();
  assert.equal(formatIp(answer.relayed[0] as never), "9.9.9.77");
  assert.deepEqual([...world.relays.values()].map(formatIp), ["10.0.0.5"]);
});
