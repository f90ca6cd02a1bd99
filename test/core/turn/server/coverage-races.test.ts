/** What happens while an allocation's sockets are being opened, and when they are lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Attribute, Method } from "../../../../src/core/stun/registry.ts";
import type { StunWriter } from "../../../../src/core/stun/writer.ts";
import type { RelayId } from "../../../../src/core/turn/server/flow.ts";
import {
  type Client,
  CONFIG,
  type ip,
  PEER,
  PEER6,
  SECRET,
  tcpPath,
  timeLimitedPassword,
  udpPath,
  World,
} from "../../../support/turn-world.ts";

type Answer = "bound" | "busy" | "exhausted" | "gone";

/** A world whose sockets answer when the test says. */
function slowWorld(...args: ConstructorParameters<typeof World>): World {
  const world = new World(...args);
  world.bind = () => "later";
  return world;
}

function answer(world: World, relay: number, what: Answer): void {
  world.answerBind(relay as RelayId, what);
  world.drain();
}

/** Sends an Allocate that is not answered yet. */
function ask(client: Client, fill: (writer: StunWriter) => unknown = () => undefined): void {
  client.challenge();
  const bytes = client.signed(Method.Allocate, (writer) => fill(writer.u32(Attribute.RequestedTransport, 17 << 24)));
  assert.equal(client.exchange(bytes), undefined, "the answer waits for the sockets");
}

function dual(writer: StunWriter): void {
  writer.u32(Attribute.AdditionalAddressFamily, 2 << 24);
}

function pair(writer: StunWriter): void {
  writer.bytes(Attribute.EvenPort, Uint8Array.of(0x80));
}

function familyError(client: Client): { code: number; family: number; error: string } {
  const response = client.lastResponse();
  assert.ok(response);
  const value = response.view.bytes(Attribute.AddressErrorCode) ?? new Uint8Array(4);
  return { code: response.code, family: value[0] as number, error: `${value[2]}${String(value[3]).padStart(2, "0")}` };
}

test("RFC 8656 §7.2: a retransmission while the socket is being opened is not answered, and opens nothing", () => {
  const world = slowWorld();
  const client = world.client();
  client.challenge();
  const bytes = client.signed(Method.Allocate, (writer) => writer.u32(Attribute.RequestedTransport, 17 << 24));
  assert.equal(client.exchange(bytes), undefined);
  assert.equal(client.exchange(bytes), undefined);
  assert.equal(world.opening.size, 1);
  answer(world, 0, "bound");
  const first = client.lastResponse();
  assert.equal(first?.code, 0);
  const again = client.exchange(bytes);
  assert.deepEqual(again?.view.bytes(Attribute.XorRelayedAddress), first.view.bytes(Attribute.XorRelayedAddress));
  assert.equal(world.server.stats.allocations, 1);
});

test("a port that others hold is given up for another, twelve times, and then it is 508", () => {
  const world = slowWorld();
  const client = world.client();
  ask(client);
  for (let tries = 1; tries <= 12; tries++) {
    assert.equal(world.opening.size, 1, `try ${tries}`);
    answer(world, [...world.opening.keys()][0] as number, "busy");
  }
  assert.equal(client.lastResponse()?.code, 508);
  assert.equal(world.opening.size, 0);
  world.bind = () => "bound";
  assert.equal(client.allocate().code, 0);
});

test("RFC 8656 §7.2: where descriptors are used up it is 508 at once", () => {
  const world = slowWorld();
  const client = world.client();
  ask(client);
  answer(world, 0, "exhausted");
  assert.equal(client.lastResponse()?.code, 508);
});

test("RFC 8656 §7.2, §18.12: one family of two failed: the other is given, with ADDRESS-ERROR-CODE", () => {
  for (const [lost, family] of [
    [0, 1],
    [1, 2],
  ] as const) {
    const world = slowWorld();
    const client = world.client();
    ask(client, dual);
    answer(world, lost, "exhausted");
    answer(world, 1 - lost, "bound");
    assert.deepEqual(familyError(client), { code: 0, family, error: "508" });
    assert.equal(client.permit(family === 1 ? PEER : PEER6).code, 443);
    assert.equal(client.permit(family === 1 ? PEER6 : PEER).code, 0);
  }
});

test("RFC 8656 §7.2: both families failed: 508, and nothing is left", () => {
  const world = slowWorld();
  const client = world.client();
  ask(client, dual);
  answer(world, 0, "exhausted");
  answer(world, 1, "exhausted");
  assert.equal(client.lastResponse()?.code, 508);
  assert.equal(world.server.pollTimeout(), undefined);
});

test("RFC 8656 §7.2, §18.12: a server without IPv6 gives IPv4 alone to who asked for both", () => {
  const world = new World({ relays: CONFIG.relays.slice(0, 1) });
  const client = world.client();
  const { relayed, view } = client.allocate(dual);
  assert.equal(relayed.length, 1);
  assert.deepEqual(view.bytes(Attribute.AddressErrorCode), Uint8Array.of(2, 0, 4, 40));
});

test("RFC 8656 §7.2: EVEN-PORT with R: the pair is sought anew when the successor is taken", () => {
  const world = slowWorld();
  const client = world.client();
  ask(client, pair);
  answer(world, 0, "bound");
  assert.equal(world.opening.size, 1, "the successor");
  const [successor] = world.opening.keys();
  answer(world, successor as number, "busy");
  assert.equal(world.sockets.size, 0, "the even port alone is no use");
  world.bind = () => "bound";
  answer(world, [...world.opening.keys()][0] as number, "bound");
  const response = client.lastResponse();
  assert.equal(response?.code, 0);
  assert.equal(response.view.bytes(Attribute.ReservationToken)?.length, 8);
  const ports = [...world.sockets.values()].map(({ port }) => port).sort();
  assert.equal((ports[0] as number) % 2, 0);
  assert.equal(ports[1], (ports[0] as number) + 1);
});

test("RFC 8656 §7.2: EVEN-PORT with R: no descriptor for the successor is 508, and the even port is released", () => {
  const world = slowWorld();
  const client = world.client();
  ask(client, pair);
  answer(world, 0, "bound");
  answer(world, [...world.opening.keys()][0] as number, "exhausted");
  assert.equal(client.lastResponse()?.code, 508);
  assert.equal(world.sockets.size, 0);
});

test("RFC 8656 §7.2: EVEN-PORT with R takes no port whose successor is taken or out of range", () => {
  const world = new World({ relays: CONFIG.relays.slice(0, 1), relayPorts: { min: 50_000, max: 50_004 } });
  const ports = (): number[] => [...world.sockets.values()].map(({ port }) => port).sort();
  const clients = [1, 2, 3, 4].map((port) => world.client({ path: udpPath("8.8.4.4", port) }));
  const [a, b, c, d] = clients as [Client, Client, Client, Client];
  assert.equal(a.allocate(pair).code, 0);
  assert.equal(b.allocate(pair).code, 0);
  assert.deepEqual(ports(), [50_000, 50_001, 50_002, 50_003]);
  assert.equal(c.allocate(pair).code, 508, "50004 has no successor");
  assert.equal(c.allocate((w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0))).relayed[0]?.port, 50_004);
  world.advance(31);
  assert.deepEqual(ports(), [50_000, 50_002, 50_004], "the reservations are over");
  assert.equal(d.allocate((w) => w.bytes(Attribute.EvenPort, Uint8Array.of(0))).code, 508, "only odd ones are left");
  assert.equal((d.allocate().relayed[0]?.port as number) % 2, 1);
  assert.equal(a.refresh(0).code, 0);
  const another = a.allocate(pair);
  if (another.code === 0) assert.ok(ports().includes((another.relayed[0]?.port as number) + 1));
});

test("RFC 8656 §7.2: a reservation is held for 30 seconds, and then its port is free again", () => {
  const world = new World();
  const client = world.client();
  const token = client.allocate(pair).view.bytes(Attribute.ReservationToken) as Uint8Array;
  assert.equal(world.sockets.size, 2);
  world.advance(29);
  assert.equal(world.sockets.size, 2);
  world.advance(2);
  assert.equal(world.sockets.size, 1);
  const other = world.client({ path: udpPath("8.8.4.4", 2) });
  assert.equal(other.allocate((w) => w.bytes(Attribute.ReservationToken, token)).code, 508);
});

test("RFC 8656 §7.2: a token is good once, for its owner alone, and gives the next higher port", () => {
  const world = new World();
  const first = world.client().allocate(pair);
  const token = first.view.bytes(Attribute.ReservationToken) as Uint8Array;
  const withToken = (writer: StunWriter): void => void writer.bytes(Attribute.ReservationToken, token);
  const thief = world.client({ path: udpPath("8.8.4.4", 2), username: "bob" });
  assert.equal(thief.allocate(withToken).code, 508);
  const owner = world.client({ path: udpPath("8.8.4.4", 3) });
  const second = owner.allocate(withToken);
  assert.equal(second.relayed[0]?.port, (first.relayed[0]?.port as number) + 1);
  assert.equal(world.client({ path: udpPath("8.8.4.4", 4) }).allocate(withToken).code, 508);
});

test("an allocation that ends takes along the reservation that nobody has claimed, but not the one that somebody has", () => {
  const world = new World();
  const owner = world.client();
  owner.allocate(pair);
  assert.equal(world.sockets.size, 2);
  owner.refresh(0);
  assert.equal(world.sockets.size, 0);
  const token = owner.allocate(pair).view.bytes(Attribute.ReservationToken) as Uint8Array;
  const other = world.client({ path: udpPath("8.8.4.4", 2) });
  assert.equal(other.allocate((w) => w.bytes(Attribute.ReservationToken, token)).code, 0);
  owner.refresh(0);
  assert.equal(world.sockets.size, 1);
  assert.equal(other.refresh(600).code, 0);
});

test("a reserved socket that is lost takes its reservation with it", () => {
  const world = new World();
  const client = world.client();
  const { relayed, view } = client.allocate(pair);
  const token = view.bytes(Attribute.ReservationToken) as Uint8Array;
  const successor = world.relayAt({ ...(relayed[0] as ReturnType<typeof ip>), port: (relayed[0]?.port as number) + 1 });
  world.server.handleRelayFailed(successor, "gone", world.now);
  world.drain();
  assert.equal(world.sockets.size, 1);
  assert.equal(client.allocate((w) => w.bytes(Attribute.ReservationToken, token)).code, 437);
  const other = world.client({ path: udpPath("8.8.4.4", 2) });
  assert.equal(other.allocate((w) => w.bytes(Attribute.ReservationToken, token)).code, 508);
});

test("a client that leaves while its socket is being opened: the socket is closed as soon as it is there", () => {
  for (const what of ["bound", "busy", "exhausted"] as const) {
    const world = slowWorld();
    const client = world.client({ path: tcpPath(1) });
    ask(client);
    world.server.handleClientClosed(client.path, world.now);
    answer(world, 0, what);
    assert.equal(world.sockets.size, 0, what);
    assert.equal(world.opening.size, 0, what);
    assert.equal(client.lastResponse(), undefined, "nobody is there to be answered");
    world.bind = () => "bound";
    assert.equal(world.client({ path: tcpPath(2) }).allocate().code, 0);
  }
});

test("a live relay that is lost ends its allocation, or one family of it", () => {
  const world = new World();
  const client = world.client();
  client.allocate(dual);
  client.permit(PEER);
  client.permit(PEER6);
  client.bindChannel(0x4000, PEER);
  client.bindChannel(0x4001, PEER6);
  world.server.handleRelayFailed(0 as RelayId, "gone", world.now);
  world.drain();
  assert.deepEqual(
    [...world.sockets.values()].map(({ family }) => family),
    [6],
  );
  assert.equal(client.sendOnChannel(0x4000, new Uint8Array(1)), undefined);
  assert.ok(client.sendOnChannel(0x4001, new Uint8Array(1)));
  assert.equal(world.server.stats.permissions, 1);
  assert.equal(client.send(PEER, new Uint8Array(1)), undefined);
  assert.ok(client.send(PEER6, new Uint8Array(1)));
  world.takeOutputs();
  world.server.handleRelayFailed(1 as RelayId, "exhausted", world.now);
  world.drain();
  const [event] = world.takeEvents();
  assert.ok(event?.type === "allocation-ended" && event.reason === "relay-failed");
  assert.equal(world.server.stats.allocations, 0);
  world.server.handleRelayFailed(1 as RelayId, "gone", world.now);
  world.server.handleRelayBound(1 as RelayId, world.now);
});

test("the relay address of one family goes while the other's socket is open: the client is served or may ask again", () => {
  const world = slowWorld();
  const client = world.client();
  ask(client, dual);
  answer(world, 1, "bound");
  world.server.handleAddresses(CONFIG.relays.slice(1), CONFIG.ownAddresses, world.now);
  world.drain();
  answer(world, 0, "gone");
  world.bind = () => "bound";
  world.advance(3600);
  assert.notEqual(client.allocate((writer) => writer.u32(Attribute.RequestedAddressFamily, 2 << 24)).code, 437);
});

test("RFC 8656 §7.2: EVEN-PORT with R: the even socket is lost while its successor is being opened", () => {
  const world = slowWorld();
  const client = world.client();
  ask(client, pair);
  answer(world, 0, "bound");
  world.server.handleRelayFailed(0 as RelayId, "exhausted", world.now);
  world.drain();
  for (const relay of [...world.opening.keys()]) answer(world, relay, "bound");
  const response = client.lastResponse();
  if (response?.code === 0) assert.fail("an odd port was given to who asked for an even one");
  assert.equal(world.sockets.size, 0);
});

test("what is lent in a Buffer, whose slice is a view, is copied where it is kept", () => {
  for (const users of [true, false]) {
    const world = slowWorld({ users, sharedSecrets: users ? [] : [SECRET] });
    const username = users ? "alice" : `${world.wall + 900}:carol`;
    const client = world.client({
      username,
      password: users ? "alice's password" : timeLimitedPassword(SECRET, username),
    });
    client.challenge();
    const bytes = client.signed(Method.Allocate, (writer) => writer.u32(Attribute.RequestedTransport, 17 << 24));
    client.exchange(bytes);
    answer(world, 0, "bound");
    const response = client.lastResponse();
    assert.equal(response?.code, 0);
    assert.deepEqual(response.view.data.subarray(4, 20), bytes.subarray(4, 20), "the answer has its request's ID");
  }
});
