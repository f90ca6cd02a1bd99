/** What crosses from one shard to another: quotas, reservations, and packets from relay to relay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import type { StunWriter } from "../../../../src/core/stun/writer.ts";
import { ReservationTokens } from "../../../../src/core/turn/server/reservation-tokens.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";
import { Shards } from "./shards.ts";
import { Answer, address, baseConfig, Client, type World } from "./world.ts";

const pair = (w: StunWriter): void => void w.bytes(Attribute.EvenPort, Uint8Array.of(0x80));

/** A client of the `index`th shard. */
function clientOf(shards: Shards, index: number, port = 1000 + index, options = {}): Client {
  return new Client(shards.worlds[index] as World, `5.6.7.${index + 1}:${port}`, options);
}

/** An even port in the first shard, its successor reserved; and what asks for it. */
function reserved(shards: Shards, from?: number) {
  const owner = clientOf(shards, 0, from);
  const answer = owner.allocate(pair);
  const token = answer.view.bytes(Attribute.ReservationToken)?.slice() as Uint8Array;
  const withToken = (w: StunWriter): void => void w.bytes(Attribute.ReservationToken, token);
  return { owner, even: answer.relayed[0]?.port as number, token, withToken };
}

/** Sends the request, without waiting for the answer. */
function ask(client: Client, build: (w: StunWriter) => void): void {
  const request = client.sealed(Method.Allocate, (w) => {
    w.u32(Attribute.RequestedTransport, 17 << 24);
    build(w);
  });
  client.last = request;
  assert.deepEqual(client.raw(request), []);
}

/** What a retransmission is answered with. */
function answersTo(client: Client): Answer[] {
  return client.raw(client.last);
}

test("RFC 8656 §7.2: a token is good at another shard, which gets the socket with its port", () => {
  const shards = new Shards(3);
  const { even, withToken } = reserved(shards);
  const before = shards.sockets;
  const bearer = clientOf(shards, 2);
  const answer = bearer.allocate(withToken);
  assert.equal(answer.relayed[0]?.port, even + 1);
  assert.deepEqual(shards.sockets, before, "the socket was neither closed nor opened");
  assert.ok([...(shards.worlds[2] as World).relays.values()].some(({ port }) => port === even + 1));
  assert.deepEqual(bearer.raw(bearer.last)[0]?.relayed.map(formatAddress), [`9.9.9.1:${even + 1}`], "retransmitted");
  shards.advance(40);
  assert.equal(bearer.refresh(600).code, 0, "what was claimed is kept");
  const late = clientOf(shards, 1);
  assert.equal(late.allocate(withToken).code, 508, "a token is good once");
});

test("RFC 8656 §7.2: at another shard too a token is for its owner, and for 30 s", () => {
  const shards = new Shards(2);
  const { withToken } = reserved(shards);
  shards.worlds[1]?.users.set("mallory", "m");
  const thief = clientOf(shards, 1, 1, { username: "mallory", password: "m" });
  assert.equal(thief.allocate(withToken).code, 508);
  assert.equal(shards.sockets.length, 2);
  shards.advance(31);
  assert.equal(shards.sockets.length, 1);
  assert.equal(clientOf(shards, 1).allocate(withToken).code, 508);
});

test("a port that was lent goes back to the shard that it is of, and is given out again", () => {
  const shards = new Shards(2);
  const { owner, withToken } = reserved(shards);
  const bearer = clientOf(shards, 1);
  bearer.allocated(withToken);
  owner.refresh(0);
  const all = Array.from({ length: 20 }, (_, i) => clientOf(shards, 0, 2000 + i));
  assert.deepEqual(
    all.map((client) => client.allocate().code).filter((code) => code !== 0),
    [508],
    "one port is lent",
  );
  bearer.refresh(0);
  assert.equal(clientOf(shards, 0, 3000).allocate().code, 0, "and is back");
  assert.equal(shards.sockets.length, 20);
});

test("of two that bring one token to two shards at once exactly one gets it", () => {
  const shards = new Shards(3);
  const { even, withToken } = reserved(shards);
  const rivals = [clientOf(shards, 1), clientOf(shards, 2), clientOf(shards, 2, 1005)];
  for (const rival of rivals) rival.challenge();
  shards.isSlow = true;
  for (const rival of rivals) ask(rival, withToken);
  shards.isSlow = false;
  shards.deliver();
  const winners = rivals.filter((rival) => answersTo(rival)[0]?.relayed[0]?.port === even + 1);
  assert.equal(winners.length, 1);
  assert.deepEqual(rivals.map((rival) => rival.refresh(600).code).sort(), [0, 437, 437]);
  assert.equal(shards.sockets.length, 2);
});

test("a retransmission that comes while another shard is asked does not ask again", () => {
  const shards = new Shards(2);
  const { withToken } = reserved(shards);
  const bearer = clientOf(shards, 1);
  bearer.challenge();
  shards.isSlow = true;
  ask(bearer, withToken);
  assert.deepEqual(bearer.raw(bearer.last), []);
  assert.equal(shards.mail.length, 1);
});

test("a shard that does not answer costs the client 508, not its 5-tuple, and what comes late is closed", () => {
  const shards = new Shards(2);
  const { owner, withToken } = reserved(shards);
  const bearer = clientOf(shards, 1);
  bearer.challenge();
  shards.isSlow = true;
  ask(bearer, withToken);
  const there = shards.worlds[1] as World;
  there.advance(4);
  const [refused] = there.sent.slice(-1);
  assert.ok(refused !== undefined);
  assert.equal(bearer.allocate().code, 0, "the 5-tuple and the quota are free");
  bearer.refresh(0);
  shards.isSlow = false;
  shards.deliver();
  assert.equal(shards.declined, 1);
  assert.equal(shards.sockets.length, 1, "the socket that came late is closed");
  owner.refresh(0);
  const all = Array.from({ length: 20 }, (_, i) => clientOf(shards, 0, 2000 + i).allocate().code);
  assert.deepEqual(all, new Array(20).fill(0), "and its port is free");
});

test("a client that goes while another shard is asked: the socket that comes is closed", () => {
  const shards = new Shards(2);
  const { withToken } = reserved(shards);
  const bearer = clientOf(shards, 1);
  bearer.challenge();
  shards.isSlow = true;
  ask(bearer, withToken);
  bearer.world.server.handleClientClosed(bearer.path, bearer.world.now);
  const sent = bearer.world.sent.length;
  shards.isSlow = false;
  shards.deliver();
  assert.equal(shards.declined, 1);
  assert.equal(shards.sockets.length, 1);
  assert.equal(bearer.world.sent.length, sent, "nobody is answered");
  assert.equal(bearer.allocate().code, 0);
});

test("a socket is closed whose address is not the claimant's any more", () => {
  const shards = new Shards(2);
  const { withToken } = reserved(shards);
  const bearer = clientOf(shards, 1);
  bearer.challenge();
  shards.isSlow = true;
  ask(bearer, withToken);
  const [, other] = baseConfig.relays;
  bearer.world.server.handleAddresses([other as (typeof baseConfig.relays)[0]], [], bearer.world.now);
  shards.isSlow = false;
  shards.deliver();
  assert.equal(shards.declined, 1);
  assert.equal(answerCode(bearer), 508);
});

function answerCode({ world }: Client): number {
  const last = world.sent.at(-1);
  assert.ok(last);
  return new Answer(last.data).code;
}

test("the holder dies: before it answers that is 508, after that nothing is lost", () => {
  const shards = new Shards(2);
  const first = reserved(shards);
  const bearer = clientOf(shards, 1);
  bearer.challenge();
  shards.isSlow = true;
  ask(bearer, first.withToken);
  shards.kill(0);
  assert.equal(answerCode(bearer), 508);
  assert.equal(bearer.allocate().code, 0);
  shards.isSlow = false;
  const second = reserved(shards);
  const other = clientOf(shards, 1, 1005);
  other.allocated(second.withToken);
  shards.kill(0);
  assert.equal(other.refresh(600).code, 0);
  other.refresh(0);
  assert.equal(clientOf(shards, 0).allocate().code, 0, "a port that nobody lent does no harm when it comes back");
});

test("an answer to a shard that has died is not taken for one to its successor", () => {
  const shards = new Shards(2);
  const [first, second] = [reserved(shards), reserved(shards, 1004)];
  const former = clientOf(shards, 1);
  former.challenge();
  shards.isSlow = true;
  ask(former, first.withToken);
  shards.kill(1);
  const bearer = clientOf(shards, 1, 1007);
  bearer.challenge();
  ask(bearer, second.withToken);
  shards.isSlow = false;
  shards.deliver();
  assert.deepEqual(
    answersTo(bearer)[0]?.relayed.map(({ port }) => port),
    [second.even + 1],
  );
  assert.equal(shards.declined, 1);
  assert.equal(shards.sockets.length, 3);
});

test("only who was asked answers a claim, and only who has borrowed a port returns it, once", () => {
  const shards = new Shards(3);
  const { owner, even, withToken } = reserved(shards);
  const bearer = clientOf(shards, 1);
  bearer.challenge();
  shards.isSlow = true;
  ask(bearer, withToken);
  const [holder, claimant] = shards.worlds as [World, World];
  const [letter] = shards.mail;
  assert.ok(letter?.message.type === "claim");
  claimant.server.handleShardMessage(2, { type: "refused", claim: letter.message.claim }, claimant.now);
  claimant.drain();
  shards.isSlow = false;
  shards.deliver();
  assert.deepEqual(
    answersTo(bearer)[0]?.relayed.map(({ port }) => port),
    [even + 1],
  );
  owner.refresh(0);
  const bound = address(`9.9.9.1:${even + 1}`);
  const mine = () => Array.from({ length: 20 }, (_, i) => clientOf(shards, 0, 2000 + i).allocate().code);
  holder.server.handleShardMessage(2, { type: "port-returned", bound }, holder.now);
  assert.equal(mine().filter((code) => code === 0).length, 19, "the port is lent");
  bearer.refresh(0);
  assert.equal(clientOf(shards, 0, 3000).allocate().code, 0);
  holder.server.handleShardMessage(1, { type: "port-returned", bound }, holder.now);
  shards.kill(1);
  assert.equal(clientOf(shards, 0, 3001).allocate().code, 508, "all ports are in use");
});

test("the claimant dies: its ports go back to the holder", () => {
  const shards = new Shards(2);
  const { owner, withToken } = reserved(shards);
  clientOf(shards, 1).allocated(withToken);
  shards.kill(1);
  owner.refresh(0);
  const all = Array.from({ length: 20 }, (_, i) => clientOf(shards, 0, 2000 + i).allocate().code);
  assert.deepEqual(all, new Array(20).fill(0));
});

test("tokens lead to their shard by the key, and to none by themselves", () => {
  const random = new SeededRandom(1);
  const key = encodeUtf8("a key for tokens");
  const of = (index: number) => new ReservationTokens(testCrypto, key, index);
  for (const index of [0, 1, 7, 255]) {
    for (let i = 0; i < 50; i++) assert.equal(of(3).shardOf(of(index).make(random)), index);
  }
  const last = new Set(Array.from({ length: 100 }, () => of(0).make(random)[7]));
  assert.ok(last.size > 50, "the byte that holds the number is as good as random");
});

test("a token that nobody made is 508, wherever it seems to lead", () => {
  const shards = new Shards(2);
  const random = new SeededRandom(5);
  for (let i = 0; i < 64; i++) {
    const client = clientOf(shards, 0, 2000 + i);
    assert.equal(client.allocate((w) => w.bytes(Attribute.ReservationToken, random.bytes(8))).code, 508);
  }
  assert.deepEqual(shards.sockets, []);
});

test("RFC 8656 §7.2 (10): quotas count over all shards, what waits for another shard too", () => {
  const quotas = { ...baseConfig.quotas, allocationsPerUser: 3 };
  const shards = new Shards(2, { quotas });
  const { owner, withToken } = reserved(shards);
  const bearer = clientOf(shards, 1);
  bearer.challenge();
  shards.isSlow = true;
  ask(bearer, withToken);
  assert.equal(clientOf(shards, 1, 1).allocate().code, 0);
  assert.equal(clientOf(shards, 0, 1).allocate().code, 486);
  shards.isSlow = false;
  shards.deliver();
  owner.refresh(0);
  assert.equal(clientOf(shards, 0, 1).allocate().code, 0);
});

// Relay to relay

/** Two clients of two shards that each have a channel to the other's relayed address; what is behind a 1:1 NAT is. */
function meeting(config = {}, advertised = "9.9.9.1") {
  const shards = new Shards(2, config);
  const [a, b] = [clientOf(shards, 0), clientOf(shards, 1)] as const;
  const [portA, portB] = [a.allocated(), b.allocated()];
  return { shards, a, b, atA: `${advertised}:${portA}`, atB: `${advertised}:${portB}` };
}

const natted = { relays: [{ bound: address("10.0.0.1:0"), advertised: address("8.8.1.1:0") }] };

function channelData(channel: number, payload: string): Uint8Array {
  const body = encodeUtf8(payload);
  return Uint8Array.of(channel >> 8, channel & 255, 0, body.length, ...body);
}

function sendIndication(client: Client, peer: string, payload: string): Uint8Array {
  const build = (w: StunWriter): void =>
    void w.xorAddress(Attribute.XorPeerAddress, address(peer)).bytes(Attribute.Data, encodeUtf8(payload));
  return client.plain(Method.Send, build, MessageClass.Indication);
}

for (const [name, config, ip] of [
  ["its relayed address", {}, "9.9.9.1"],
  ["its advertised address", natted, "8.8.1.1"],
] as const) {
  test(`RFC 8656 §12.6: a client of one shard reaches one of another at ${name}, channel to channel`, () => {
    const { shards, a, b, atA, atB } = meeting(config, ip);
    assert.equal(a.bind(0x4001, atB).code, 0);
    assert.equal(b.bind(0x4002, atA).code, 0);
    const there = { toward: "client", to: formatAddress(b.path.remote), channel: 0x4002, payload: "hello" };
    assert.deepEqual(shards.media(a, channelData(0x4001, "hello")), there);
    assert.deepEqual(shards.media(a, sendIndication(a, atB, "hello")), there, "by Send too");
    assert.equal(shards.media(b, channelData(0x4002, ""))?.channel, 0x4001);
  });
}

test("what one source may ask counts over all shards, and with a successor too", () => {
  const shards = new Shards(3, { budgets: { unauthenticatedPerSecond: 5, requestsPerSecond: 10 } });
  const clients = [0, 1, 2].map((index) => new Client(shards.worlds[index] as World, `5.6.7.8:${1000 + index}`));
  // A challenge each.
  for (const client of clients) client.challenge();
  const bindings = (client: Client) =>
    Array.from({ length: 5 }, () => client.raw(client.plain(Method.Binding)).length).reduce((a, b) => a + b, 0);
  assert.deepEqual(clients.map(bindings), [5, 2, 0]);
  const refreshes = (client: Client) =>
    Array.from({ length: 9 }, () => client.raw(client.sealed(Method.Refresh)).length).reduce((a, b) => a + b, 0);
  assert.deepEqual(clients.map(refreshes), [9, 9, 2]);
  shards.kill(0);
  assert.equal(bindings(new Client(shards.worlds[0] as World, "5.6.7.8:2000")), 0);
  assert.equal(bindings(new Client(shards.worlds[0] as World, "5.6.7.9:2000")), 5);
});

test("what is bound behind a 1:1 NAT is reached as bound too, and the receiver sees the advertised source", () => {
  const { shards, a, b, atA, atB } = meeting(natted, "8.8.1.1");
  a.permit("10.0.0.1");
  b.permit("8.8.1.1");
  assert.equal(shards.media(a, sendIndication(a, atB.replace("8.8.1.1", "10.0.0.1"), "hello")), undefined);
  const indication = new Answer((b.world.sent.at(-1) as { data: Uint8Array }).data);
  assert.deepEqual(indication.addresses(Attribute.XorPeerAddress).map(formatAddress), [atA]);
});

test("RFC 8656 §9: the receiving shard asks for the receiver's permission", () => {
  const { shards, a, b, atB } = meeting();
  a.bind(0x4001, atB);
  assert.equal(shards.media(a, channelData(0x4001, "hello")), undefined);
  assert.equal(b.world.server.stats.drops["no-permission"], 1);
  assert.equal(b.permit("9.9.9.1").code, 0);
  const before = b.world.sent.length;
  shards.media(a, channelData(0x4001, "hello"));
  assert.equal(b.world.sent.length, before + 1, "a Data indication, where the receiver has no channel");
  shards.advance(301);
  shards.media(a, channelData(0x4001, "hello"));
  assert.equal(b.world.sent.length, before + 1);
});

test("nothing of the host is reached through another shard but a live allocation", () => {
  const { a, b, atB } = meeting();
  const nobody = "9.9.9.1:50039";
  assert.equal(a.bind(0x4001, nobody).code, 403, "no allocation lives there");
  assert.equal(a.bind(0x4001, atB).code, 0);
  assert.equal(a.permit("9.9.9.1").code, 0);
  b.refresh(0);
  const { drops } = a.world.server.stats;
  assert.equal(a.media(channelData(0x4001, "hello")), undefined, "it ended");
  assert.equal(a.media(sendIndication(a, nobody, "hello")), undefined);
  assert.equal(a.media(sendIndication(a, "9.9.9.1:22", "hello")), undefined);
  assert.equal(drops["own-address"], 4);
});

test("what reaches a shard for an allocation that has just ended is dropped and counted", () => {
  const { b, atB } = meeting();
  const { server, now } = b.world;
  b.refresh(0);
  const payload = encodeUtf8("hello");
  assert.equal(server.handleShardDatagram(payload, 0, 5, address("9.9.9.1:1"), address(atB), now), undefined);
  assert.equal(server.stats.drops["no-allocation"], 1);
});

test("bandwidth is the sender's on its way out and the receiver's on its way in, and both are counted", () => {
  const { shards, a, b, atA, atB } = meeting();
  a.bind(0x4001, atB);
  b.bind(0x4002, atA);
  shards.media(a, channelData(0x4001, "hello"));
  const { packetsToPeers, bytesToPeers } = a.world.server.stats;
  const { packetsToClients, bytesToClients } = b.world.server.stats;
  assert.deepEqual([packetsToPeers, bytesToPeers, packetsToClients, bytesToClients], [1, 5, 1, 5]);
});

test("a relay is reached at its new shard once it was handed over, and not at the old one", () => {
  const shards = new Shards(3);
  const { even, withToken } = reserved(shards);
  const bearer = clientOf(shards, 2);
  bearer.allocated(withToken);
  for (const index of [0, 1]) {
    const sender = clientOf(shards, index, 1009);
    const from = sender.allocated();
    assert.equal(sender.bind(0x4001, `9.9.9.1:${even + 1}`).code, 0);
    assert.equal(bearer.bind(0x4002 + index, `9.9.9.1:${from}`).code, 0);
    assert.equal(shards.media(sender, channelData(0x4001, "hello"))?.channel, 0x4002 + index);
  }
});
