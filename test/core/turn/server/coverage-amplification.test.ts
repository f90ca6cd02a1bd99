/** security.md 2: how much a sender who has proven nothing, and may not be who it says, can make the server send. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sameIp } from "../../../../src/core/base/address.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { messageId, StunWriter } from "../../../../src/core/stun/writer.ts";
import type { ClientPath } from "../../../../src/core/turn/server/client-path.ts";
import type { DiscoverySquare } from "../../../../src/core/turn/server/discovery-sites.ts";
import { hex } from "../../../support/bytes.ts";
import { testCrypto as crypto } from "../../../support/crypto.ts";
import { CONFIG, ip, REALM, udpPath, World } from "../../../support/turn-world.ts";

const LIMIT = 2.6;
const id = messageId(hex("000102030405060708090a0b"));
const key = crypto.importKey(hex("00"));

function begin(method: number): StunWriter {
  return new StunWriter().begin(method, MessageClass.Request, id);
}

function withCredentials(writer: StunWriter, realm: string, nonce: string): Uint8Array {
  writer.text(Attribute.Username, "u").text(Attribute.Realm, realm).text(Attribute.Nonce, nonce);
  return writer.integritySha1(crypto, key).finish();
}

/** A nonce that this client was given, and one that another was. */
function nonceFor(world: World, path: ClientPath): string {
  const client = world.client({ path });
  client.challenge();
  return client.nonce;
}

const NONCE_SHAPE = "obMatJos2AAAB0000000000000000000000";

type Shape = (world: World, path: ClientPath) => Uint8Array;

/** Every kind of request that is answered, or may be, without proof of the return path. */
const shapes: Readonly<Record<string, Shape>> = {
  "Binding, 20 bytes": () => begin(Method.Binding).finish(),
  "Binding, fingerprint": () => begin(Method.Binding).fingerprint().finish(),
  "Binding, classic": () => hex("0001 0000 000102030405060708090a0b0c0d0e0f"),
  "Binding, classic, CHANGE-REQUEST 0": () => hex("0001 0008 000102030405060708090a0b0c0d0e0f 0003 0004 00000000"),
  "Binding, classic, CHANGE-REQUEST 6": () => hex("0001 0008 000102030405060708090a0b0c0d0e0f 0003 0004 00000006"),
  "Binding, one unknown attribute": () => begin(Method.Binding).bytes(0x7f00, hex("")).finish(),
  "Binding, 40 unknown attributes": () => {
    const writer = begin(Method.Binding);
    for (let type = 0x7f00; type < 0x7f28; type++) writer.bytes(type, hex(""));
    return writer.finish();
  },
  "Allocate, 20 bytes": () => begin(Method.Allocate).finish(),
  "Allocate, 28 bytes": () =>
    begin(Method.Allocate)
      .u32(Attribute.RequestedTransport, 17 << 24)
      .finish(),
  "Allocate, 28 bytes, fingerprint alone": () => begin(Method.Allocate).fingerprint().finish(),
  "Allocate, with USERNAME, unsigned": () => begin(Method.Allocate).text(Attribute.Username, "alice").finish(),
  "Allocate, integrity alone": () => begin(Method.Allocate).integritySha1(crypto, key).finish(),
  "Allocate, truncated integrity alone": () => begin(Method.Allocate).integritySha256(crypto, key, 16).finish(),
  "Allocate, empty integrity alone": () => begin(Method.Allocate).bytes(Attribute.MessageIntegrity, hex("")).finish(),
  "Allocate, smallest stale nonce": () => {
    const writer = begin(Method.Allocate).text(Attribute.Username, "").text(Attribute.Realm, "");
    return writer.text(Attribute.Nonce, "").bytes(Attribute.MessageIntegrity, hex("")).finish();
  },
  "Allocate, stale nonce": () => withCredentials(begin(Method.Allocate), REALM, NONCE_SHAPE),
  "Allocate, nonce that is not UTF-8": () => {
    const writer = begin(Method.Allocate).text(Attribute.Username, "u").text(Attribute.Realm, REALM);
    return writer.bytes(Attribute.Nonce, hex("ff")).integritySha1(crypto, key).finish();
  },
  "Allocate, another client's nonce": (world) => {
    return withCredentials(begin(Method.Allocate), REALM, nonceFor(world, udpPath("8.8.8.9")));
  },
  "Allocate, own nonce, wrong realm": (world, path) => {
    return withCredentials(begin(Method.Allocate), "elsewhere", nonceFor(world, path));
  },
  "Allocate, own nonce, unknown user": (world, path) => {
    return withCredentials(begin(Method.Allocate), REALM, nonceFor(world, path));
  },
  "Refresh, 20 bytes": () => begin(Method.Refresh).finish(),
  "CreatePermission, 20 bytes": () => begin(Method.CreatePermission).finish(),
  "ChannelBind, 20 bytes": () => begin(Method.ChannelBind).finish(),
  "Connect, which is not served": () => begin(0x00a).finish(),
  "Send indication": () => new StunWriter().begin(Method.Send, MessageClass.Indication, id).finish(),
  ChannelData: () => hex("4000 0004 00000000"),
  "success response": () => new StunWriter().begin(Method.Allocate, MessageClass.Success, id).finish(),
};

/** What NAT behaviour discovery adds, where it is served. */
const discoveryShapes: Readonly<Record<string, Shape>> = {
  "Binding, CHANGE-REQUEST 6": () => begin(Method.Binding).u32(Attribute.ChangeRequest, 6).finish(),
  "Binding, RESPONSE-PORT": () =>
    begin(Method.Binding)
      .u32(Attribute.ResponsePort, 40_000 * 0x10000)
      .finish(),
  "Binding, PADDING of 4": () => begin(Method.Binding).bytes(Attribute.Padding, hex("00000000")).finish(),
  "Binding, PADDING of 1,400": () => begin(Method.Binding).bytes(Attribute.Padding, new Uint8Array(1400)).finish(),
  "Binding, PADDING twice": () => {
    const writer = begin(Method.Binding).bytes(Attribute.Padding, new Uint8Array(600));
    return writer.bytes(Attribute.Padding, new Uint8Array(600)).finish();
  },
};

/** A square of listeners; 0 and 1 are those of `udpPath`. */
function square(first: string, second: string, listener: number): DiscoverySquare {
  const corner = (text: string, port: number, n: number) => ({
    listener: n,
    bound: ip(text, port),
    advertised: ip(text, port),
  });
  return [
    [corner(first, 3478, listener), corner(first, 3479, listener + 10)],
    [corner(second, 3478, listener + 20), corner(second, 3479, listener + 30)],
  ];
}

interface Row {
  readonly shape: string;
  readonly asked: number;
  readonly answered: number;
  readonly wire: number;
}

function measure(shape: string, make: Shape, from: string, world: World): Row {
  const path = udpPath(from);
  const headers = path.remote.family === 4 ? 28 : 48;
  const request = make(world, path);
  world.takeOutputs();
  world.receive(request, path);
  const sends = world.takeSends();
  assert.ok(sends.length <= 1, `${shape}: one answer at most`);
  // RFC 5780: an answer may leave by another listener and go to another port, but never to another host.
  for (const { to } of sends) assert.ok(sameIp(to.remote, path.remote) && to.transport === path.transport);
  const answered = sends[0]?.data.length ?? 0;
  const wire = answered === 0 ? 0 : (answered + headers) / (request.length + headers);
  return { shape: `${path.remote.family === 4 ? "IPv4" : "IPv6"} ${shape}`, asked: request.length, answered, wire };
}

function table(from: string, config = {}): Row[] {
  return Object.entries(shapes).map(([shape, make]) => measure(shape, make, from, new World(config)));
}

test("RFC 8489 §16: no answer to an unproven sender is more than 2.6 times the request on the wire", (t) => {
  const rows = [...table("8.8.4.4"), ...table("2600::4")];
  t.diagnostic("request                                      bytes  answer   wire  payload");
  for (const { shape, asked, answered, wire } of rows) {
    const ratios =
      answered === 0
        ? "     -        -"
        : `${wire.toFixed(2).padStart(6)} ${(answered / asked).toFixed(2).padStart(8)}`;
    t.diagnostic(
      `${shape.padEnd(44)} ${String(asked).padStart(5)} ${String(answered || "none").padStart(7)} ${ratios}`,
    );
    assert.ok(wire <= LIMIT, `${shape}: ${wire.toFixed(2)}`);
  }
  const named = (name: string): number => rows.find(({ shape }) => shape === name)?.answered ?? 0;
  for (const name of [
    "IPv4 Binding, 20 bytes",
    "IPv4 Binding, classic",
    "IPv4 Allocate, 28 bytes",
    "IPv6 Allocate, stale nonce",
  ]) {
    assert.ok(named(name) > 0, `${name} is answered`);
  }
  for (const name of [
    "IPv4 Allocate, 20 bytes",
    "IPv6 Allocate, 20 bytes",
    "IPv4 Connect, which is not served",
    "IPv4 Send indication",
    "IPv4 ChannelData",
    "IPv4 success response",
  ]) {
    assert.equal(named(name), 0, `${name} is not answered`);
  }
});

test("RFC 5780 §6.1: where NAT behaviour discovery is served, answers amplify no more", (t) => {
  for (const from of ["8.8.4.4", "2600::4"]) {
    for (const [shape, make] of Object.entries({ ...shapes, ...discoveryShapes })) {
      const world = new World();
      world.server.handleDiscoverySquares(
        [square("5.5.5.1", "5.5.5.2", 0), square("2a05::1", "2a05::2", 1)],
        world.now,
      );
      const { wire, answered, asked } = measure(shape, make, from, world);
      assert.ok(wire <= LIMIT, `${shape}: ${wire.toFixed(2)}`);
      if (shape in discoveryShapes)
        t.diagnostic(`${from} ${shape}: ${asked} asked, ${answered} answered, ${wire.toFixed(2)} on the wire`);
    }
  }
});

test("a realm of 32 bytes, the longest that is configured, amplifies no more, and is still a challenge", () => {
  const rows = table("8.8.4.4", { realm: "a-realm.that-is.thirty-two.bytes" });
  for (const { shape, wire } of rows) assert.ok(wire <= LIMIT, `${shape}: ${wire.toFixed(2)}`);
  assert.ok((rows.find(({ shape }) => shape === "IPv4 Allocate, 28 bytes")?.answered ?? 0) > 0);
});

test("an answer that would amplify, were the realm longer still, is dropped and counted", () => {
  const world = new World({ realm: "r".repeat(64) });
  world.receive(
    begin(Method.Allocate)
      .u32(Attribute.RequestedTransport, 17 << 24)
      .finish(),
    udpPath(),
  );
  assert.equal(world.takeSends().length, 0);
  assert.equal(world.server.stats.drops["would-amplify"], 1);
  assert.equal(world.server.stats.errors[401], 0);
});

test("answers to strangers are budgeted by source: beyond it there is silence, and time heals", () => {
  const world = new World({ budgets: { ...CONFIG.budgets, unauthenticatedPerSecond: 5 } });
  const flood = (path: ClientPath): number => {
    const allocate = begin(Method.Allocate).u32(Attribute.RequestedTransport, 17 << 24);
    const requests = [begin(Method.Binding).finish(), allocate.finish()] as const;
    for (let i = 0; i < 50; i++) world.receive(requests[i % 2] as Uint8Array, path);
    return world.takeSends().length;
  };
  assert.equal(flood(udpPath("8.8.4.4", 1)), 10);
  assert.equal(flood(udpPath("8.8.4.4", 2)), 0, "the port does not matter");
  assert.equal(world.server.stats.drops["over-budget"], 90);
  assert.equal(flood(udpPath("8.8.4.5", 1)), 10, "another source has its own");
  world.advance(1);
  assert.equal(flood(udpPath("8.8.4.4", 1)), 5);
  world.advance(3600);
  assert.equal(flood(udpPath("8.8.4.4", 1)), 10);
});

test("a source of IPv6 is a /56: the addresses in it share one budget", () => {
  const world = new World({ budgets: { ...CONFIG.budgets, unauthenticatedPerSecond: 5 } });
  for (let host = 1; host <= 60; host++)
    world.receive(begin(Method.Binding).finish(), udpPath(`2600:1:1:${host.toString(16)}::1`));
  assert.equal(world.takeSends().length, 10);
  world.receive(begin(Method.Binding).finish(), udpPath("2600:1:1:1ff::1"));
  assert.equal(world.takeSends().length, 1);
});

test("a flood of 20,000 spoofed sources makes no state: no timer, no look-up, no allocation", () => {
  const world = new World();
  const request = begin(Method.Allocate)
    .u32(Attribute.RequestedTransport, 17 << 24)
    .finish();
  for (let i = 0; i < 20_000; i++) world.receive(request, udpPath(`9.${i >> 8}.${i & 255}.1`));
  assert.equal(world.server.pollTimeout(), undefined);
  assert.equal(world.server.stats.allocations, 0);
  assert.equal(world.lookups.length, 0);
});
