import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { StunView } from "../../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../../src/core/stun/writer.ts";
import { timeLimitedPassword } from "../../../../src/core/turn/server/credentials.ts";
import { testCrypto } from "../../../support/crypto.ts";
import { address, PEER, PEER6, SECRET } from "../server/world.ts";
import { channelData, Pair } from "./pair.ts";
import { Script } from "./script.ts";

const one = `${PEER}:7000`;
const two = `${PEER}:7001`;

/** Sends a numbered message each second to each peer, and says how many came back. */
function converse(pair: Pair, seconds: number, ...peers: readonly string[]): number {
  const before = pair.heard.length;
  for (let i = 0; i < seconds; i++) {
    for (const peer of peers) pair.send(peer, `${i}`);
    pair.run(1);
  }
  return pair.heard.length - before;
}

/** When the client has sent requests of this method, in whole seconds from the start. */
function requestTimes(pair: Pair, method: number): number[] {
  return pair.sent.flatMap((data, i) => {
    const view = new StunView();
    const isOne = view.decode(data) === undefined && view.class === MessageClass.Request && view.method === method;
    return isOne ? [Math.floor(pair.sentAt[i] as number)] : [];
  });
}

function requests(pair: Pair, method: number): number {
  return requestTimes(pair, method).length;
}

test("30 virtual minutes of traffic both ways, on a channel and in indications, and nothing is lost", () => {
  const pair = new Pair();
  pair.allocated();
  pair.client.permit(address(`${PEER}:0`), pair.now);
  pair.client.bind(address(one), pair.now);
  pair.run(1);
  assert.equal(converse(pair, 1800, one, two), 3600);
  assert.equal(pair.reached.filter(({ peer, byChannel }) => peer === one && byChannel).length, 1800);
  assert.equal(pair.reached.filter(({ peer, byChannel }) => peer === two && !byChannel).length, 1800);
  assert.deepEqual(pair.losses, []);
  assert.ok(requests(pair, Method.CreatePermission) >= 6, "the permission is refreshed between the channel's binds");
  assert.equal(requests(pair, Method.ChannelBind), 4, "at 0, 9, 18 and 27 minutes");
  assert.equal(pair.all("permission").length, 1, "a refresh is no news");
});

test("RFC 8656 §8, §9, §12: in 30 virtual minutes allocation, permission and channel are each refreshed before they end", () => {
  const pair = new Pair({ keepalive: 0 });
  pair.allocated();
  pair.client.permit(address("8.8.8.8:0"), pair.now);
  pair.run(1800);
  assert.deepEqual(requestTimes(pair, Method.CreatePermission), [1, 241, 481, 721, 961, 1201, 1441, 1681]);
  assert.deepEqual(requestTimes(pair, Method.Refresh), [500, 1000, 1500]);
  const bound = new Pair();
  bound.allocated();
  bound.client.bind(address(one), bound.now);
  bound.run(1800);
  assert.deepEqual(requestTimes(bound, Method.ChannelBind), [1, 541, 1081, 1621]);
  assert.deepEqual(requestTimes(bound, Method.CreatePermission), [241, 481, 781, 1021, 1321, 1561]);
});

test("30 virtual minutes over a network that loses, reorders and duplicates: the session lives on, for each seed", () => {
  for (let seed = 1; seed <= 8; seed++) {
    const pair = new Pair({}, {}, { delay: [5, 120], loseOneIn: 10, duplicateOneIn: 20, seed });
    pair.client.open(pair.now);
    pair.run(30);
    pair.client.bind(address(one), pair.now);
    pair.run(30);
    const back = converse(pair, 1800, one);
    assert.ok(back > 1800 * 0.6 && back < 1800 * 0.95, `${back} of 1800 came back, seed ${seed}`);
    assert.deepEqual(pair.losses, [], `seed ${seed}`);
    assert.equal(pair.all("allocated").length, 1);
  }
});

test("over a stream there are no keepalives, and nothing is sent twice", () => {
  const pair = new Pair({ transport: "tls" });
  pair.allocated();
  pair.client.bind(address(one), pair.now);
  pair.run(1);
  assert.equal(converse(pair, 1200, one), 1200);
  assert.equal(requests(pair, Method.Binding), 0);
  const others = pair.sent.filter((data) => (data[0] as number) < 0x40);
  assert.equal(new Set(others.map((data) => Buffer.from(data).toString("hex"))).size, others.length);
});

test("RFC 8656 §9: permissions are for IP addresses; without one nothing is sent, and nothing is heard", () => {
  const pair = new Pair();
  pair.allocated();
  assert.equal(pair.send(one, "too early"), false);
  assert.equal(pair.client.drops["no-permission"], 1);
  pair.client.permit(address(one), pair.now);
  pair.run(1);
  assert.deepEqual(
    pair.all("permission").map(({ peer, failure }) => [formatAddress(peer), failure]),
    [[`${PEER}:0`, undefined]],
  );
  assert.ok(pair.send(two, "any port"));
  pair.run(1);
  assert.deepEqual(pair.heard, [{ peer: two, payload: "any port" }]);
  pair.client.permit(address(one), pair.now);
  pair.run(1);
  assert.equal(pair.all("permission").length, 2, "each permit is answered");
  pair.client.revoke(address(one));
  assert.equal(pair.send(one, "no more"), false);
  pair.run(301);
  assert.equal(pair.world.server.stats.permissions, 0);
});

test("each permit is answered, also when a channel brings the permission meanwhile", () => {
  for (const permitFirst of [true, false]) {
    const pair = new Pair();
    pair.allocated();
    if (permitFirst) pair.client.permit(address(one), pair.now);
    pair.client.bind(address(one), pair.now);
    if (!permitFirst) pair.client.permit(address(one), pair.now);
    pair.run(1);
    assert.equal(pair.all("permission").length, 1);
  }
  const early = new Pair();
  early.client.permit(address(one), early.now);
  early.client.bind(address(one), early.now);
  early.allocated();
  early.run(1);
  assert.equal(early.all("permission").length, 1);
});

test("a peer that the server refuses is told with its reason, and the session goes on", () => {
  const pair = new Pair();
  pair.allocated();
  pair.client.permit(address("127.0.0.1:0"), pair.now);
  pair.client.permit(address(`[${PEER6}]:0`), pair.now);
  const channel = pair.client.bind(address("10.0.0.1:9"), pair.now);
  pair.run(1);
  assert.deepEqual(
    pair.all("permission").map(({ failure }) => failure?.reason),
    ["forbidden", "peer-family-mismatch"],
  );
  assert.deepEqual(
    pair.all("channel").map((e) => [e.channel, e.failure?.reason]),
    [[channel, "forbidden"]],
  );
  assert.ok(pair.client.isLive);
  assert.equal(pair.send("10.0.0.1:9", "x"), false);
});

test("what is wanted before there is an allocation is asked for as soon as there is one", () => {
  const pair = new Pair();
  pair.client.permit(address("8.8.8.8:0"), pair.now);
  pair.client.bind(address(one), pair.now);
  assert.equal(pair.client.send(address(one), new Uint8Array(1)), undefined);
  assert.equal(pair.client.drops["not-allocated"], 1);
  pair.allocated();
  pair.run(1);
  const { permissions, channels } = pair.world.server.stats;
  assert.deepEqual({ permissions, channels }, { permissions: 2, channels: 1 });
  assert.equal(requests(pair, Method.CreatePermission), 1, "a ChannelBind brings its permission");
});

test("RFC 8656 §12: a number means no other peer until five minutes after its binding has expired", () => {
  const pair = new Pair();
  pair.allocated();
  const number = pair.client.bind(address(one), pair.now);
  pair.run(1);
  pair.client.unbind(address(one));
  assert.ok(pair.send(one, "in an indication"), "the permission stays");
  pair.run(1);
  assert.equal(pair.reached.at(-1)?.byChannel, false);
  assert.equal(pair.client.bind(address(one), pair.now), number, "the same pair may be bound again at any time");
  pair.run(1);
  pair.client.unbind(address(one));
  pair.run(890);
  for (let i = 0; i < 0xffe; i++) pair.client.bind(address(`1.2.3.4:${i + 1}`), pair.now);
  const last = pair.client.bind(address("1.2.3.4:65000"), pair.now);
  assert.notEqual(last, number);
  assert.throws(() => pair.client.bind(address("1.2.3.4:65001"), pair.now), { code: "no-channel-left" });
  pair.run(20);
  assert.equal(pair.client.bind(address("1.2.3.4:65001"), pair.now), number);
});

test("a time-limited credential ends its session: the last refreshes are told short, and the end has its reason", () => {
  const username = "1800000900:bob";
  const password = timeLimitedPassword(testCrypto, SECRET, username);
  const server = { sharedSecrets: [SECRET], sessionBeyondExpiry: 0 };
  const pair = new Pair({ username, password }, server);
  pair.allocated();
  pair.client.bind(address(one), pair.now);
  pair.run(1);
  const back = converse(pair, 1000, one);
  assert.ok(back >= 890 && back <= 900, `${back} came back before the end`);
  assert.equal(pair.losses[0], "lost expired");
  assert.equal(pair.losses.at(-1), "ended unauthenticated");
  assert.ok(requests(pair, Method.Refresh) < 30, "no storm of refreshes toward the end");
});

test("a server that was restarted is noticed, and replaced by another allocation with the same permissions and channels", () => {
  const pair = new Pair();
  const before = pair.allocated();
  const channel = pair.client.bind(address(one), pair.now);
  pair.client.permit(address("8.8.8.8:0"), pair.now);
  pair.run(60);
  pair.restartServer();
  pair.run(60);
  assert.deepEqual(pair.losses, ["lost allocation-gone"], "by the next keepalive that is a Refresh");
  const after = pair.last("allocated");
  assert.ok(after?.again);
  assert.notDeepEqual(after.allocated.mapped, before.mapped, "from another local port");
  assert.deepEqual(
    pair.all("channel").map((e) => e.channel),
    [channel, channel],
  );
  assert.equal(pair.world.server.stats.permissions, 2);
  assert.equal(converse(pair, 10, one), 10);
});

test("without a policy a lost allocation is the end", () => {
  const pair = new Pair({ reallocation: { attempts: 0, firstDelay: 1, maxDelay: 1 } });
  pair.allocated();
  pair.restartServer();
  pair.run(600);
  assert.deepEqual(pair.losses, ["ended allocation-gone"]);
  assert.throws(() => pair.client.permit(address(one), pair.now), { code: "closed" });
  assert.throws(() => pair.client.bind(address(one), pair.now), { code: "closed" });
  assert.equal(pair.client.pollTimeout(), undefined);
});

test("a network that is down is noticed within two minutes, tried again ever more slowly, and found again", () => {
  const pair = new Pair({ reallocation: { attempts: 8, firstDelay: 1000, maxDelay: 30_000 } });
  pair.allocated();
  pair.client.bind(address(one), pair.now);
  pair.run(10);
  pair.isDown = true;
  pair.run(70);
  assert.deepEqual(pair.losses, ["lost timed-out"]);
  pair.run(200);
  const waits = pair.all("lost").map(({ retryIn }) => retryIn);
  assert.ok(waits.length >= 3);
  for (const [i, wait] of waits.entries()) assert.ok(wait >= 500 * 2 ** i && wait <= 1000 * 2 ** i, `${wait} ms`);
  pair.isDown = false;
  pair.run(60);
  assert.ok(pair.client.isLive);
  assert.equal(converse(pair, 10, one), 10);
});

test("over a stream, too, it is noticed that nobody answers, though the stream stays open", () => {
  const pair = new Pair({ transport: "tls" });
  pair.allocated();
  pair.run(10);
  pair.isDown = true;
  pair.run(90);
  assert.equal(pair.losses[0], "lost timed-out");
  const refreshes = requestTimes(pair, Method.Refresh);
  assert.deepEqual(refreshes, [50], "asked once, not again and again");
});

test("tries in a row are counted: when all are used up the client ends with the last reason", () => {
  const pair = new Pair({ reallocation: { attempts: 2, firstDelay: 1000, maxDelay: 1000 } });
  pair.allocated();
  pair.isDown = true;
  pair.run(300);
  assert.deepEqual(pair.losses, ["lost timed-out", "lost timed-out", "ended timed-out"]);
});

test("RFC 8656 §7.4: a full server is asked again after a minute, not sooner", () => {
  const script = Script.allocated({ transport: "tcp" });
  script.client.handleDisconnected(script.now);
  script.pass(1);
  script.client.handleConnected(script.now);
  script.drain();
  script.challenge();
  script.refuse(508, () => {}, "wonderland");
  assert.deepEqual(script.reasons, ["lost connection-lost", "lost insufficient-capacity"]);
  const connects = script.connects.length;
  script.pass(59.9);
  assert.equal(script.connects.length, connects);
  script.pass(0.2);
  assert.equal(script.connects.length, connects + 1);
});

test("a stream that breaks is opened again", () => {
  const pair = new Pair({ transport: "tcp" });
  pair.allocated();
  pair.client.bind(address(one), pair.now);
  pair.run(1);
  pair.breakStream();
  pair.run(2);
  assert.deepEqual(pair.losses, ["lost connection-lost"]);
  assert.equal(converse(pair, 5, one), 5);
  assert.equal(pair.world.server.stats.allocations, 1);
});

test("a NAT that gives the client another address is noticed by the next keepalive", () => {
  const pair = new Pair();
  pair.allocated();
  pair.client.bind(address(one), pair.now);
  pair.run(5);
  pair.remote = { ...pair.remote, port: 31_000 };
  assert.equal(converse(pair, 3, one), 0, "the 5-tuple has no allocation");
  pair.run(30);
  assert.deepEqual(pair.losses, ["lost address-changed"]);
  assert.equal(converse(pair, 5, one), 5);
});

test("nonces that expire are replaced, with all that is under way, and nothing is lost", () => {
  const pair = new Pair({}, { nonceLifetime: 60 });
  pair.allocated();
  pair.client.bind(address(one), pair.now);
  for (let i = 1; i < 5; i++) pair.client.permit(address(`8.8.8.${i}:0`), pair.now);
  pair.run(1);
  assert.equal(converse(pair, 1800, one), 1800);
  assert.deepEqual(pair.losses, []);
  assert.equal(pair.world.server.stats.permissions, 5);
  assert.ok((pair.world.server.stats.errors[438] as number) > 10);
});

test("RFC 8656 §8.1: closing deletes the allocation on the server, and ends once", () => {
  for (const transport of ["udp", "tcp"] as const) {
    const pair = new Pair({ transport });
    pair.allocated();
    pair.client.bind(address(one), pair.now);
    pair.run(1);
    pair.client.close(pair.now);
    pair.client.close(pair.now);
    pair.run(1);
    assert.equal(pair.world.server.stats.allocations, 0);
    assert.deepEqual(pair.losses, ["ended closed"]);
    assert.equal(pair.client.pollTimeout(), undefined);
    pair.client.open(pair.now);
    pair.run(60);
    assert.equal(pair.events.length, pair.events.indexOf(pair.last("ended") as never) + 1, "nothing follows");
  }
});

test("closing waits for a server that does not answer 2.5 s at most, and not at all without an allocation", () => {
  const pair = new Pair();
  pair.allocated();
  pair.isDown = true;
  pair.client.close(pair.now);
  pair.run(2.6);
  assert.deepEqual(pair.losses, ["ended closed"]);
  const early = new Pair();
  early.client.open(early.now);
  early.client.close(early.now);
  early.run(0.001);
  assert.deepEqual(early.losses, ["ended closed"]);
  const broken = new Pair({ transport: "tcp" });
  broken.allocated();
  broken.client.close(broken.now);
  broken.breakStream();
  assert.deepEqual(broken.losses, ["ended closed"]);
});

test("RFC 8656 §8.3: a refusal of a Refresh is told, tried again, and the end has its reason", () => {
  const script = Script.allocated();
  script.pass(500);
  assert.equal(script.request.method, Method.Refresh);
  script.refuse(500, () => {}, "wonderland");
  assert.deepEqual(script.reasons, ["not-refreshed server-error"]);
  const { sends } = script;
  script.pass(51);
  assert.ok(script.sends > sends, "again at half of what is left");
  script.refuse(508, () => {}, "wonderland");
  script.pass(60);
  assert.deepEqual(script.reasons.slice(1), ["not-refreshed insufficient-capacity", "lost insufficient-capacity"]);
  const revoked = Script.allocated();
  revoked.pass(500);
  revoked.challenge(401);
  revoked.pass(110);
  assert.deepEqual(revoked.reasons, ["not-refreshed unauthenticated", "ended unauthenticated"]);
  const malformed = Script.allocated();
  malformed.pass(500);
  malformed.answer(MessageClass.Success, () => {}, "wonderland");
  assert.deepEqual(malformed.reasons, ["not-refreshed bad-response"]);
});

test("a Binding that is refused ends nothing", () => {
  const script = Script.allocated({ keepalive: 10_000 });
  for (const [i, code] of [401, 500].entries()) {
    script.pass(10);
    if (i > 0) {
      assert.equal(script.request.method, Method.Refresh);
      script.answer(MessageClass.Success, (w) => w.u32(Attribute.Lifetime, 600), "wonderland");
      script.pass(10);
    }
    assert.equal(script.request.method, Method.Binding);
    assert.ok(!script.request.has(Attribute.MessageIntegrity));
    script.challenge(code);
  }
  assert.deepEqual(script.reasons, []);
});

test("what comes from elsewhere, or on channels that are not bound, is dropped and counted", () => {
  const early = new Script();
  early.deliver(channelData(0x4000, encodeUtf8("x")));
  assert.equal(early.client.drops["not-allocated"], 1);
  const script = Script.allocated();
  const { client, now } = script;
  client.permit(address(`${PEER}:0`), now);
  script.deliver(channelData(0x4000, encodeUtf8("x")));
  script.deliver(Uint8Array.of(0x40, 0, 0, 9, 1));
  script.deliver(dataIndication("1.2.3.4:5"));
  script.deliver(Uint8Array.of(0, 1, 2));
  assert.deepEqual(client.drops, {
    malformed: 2,
    unexpected: 0,
    "not-allocated": 0,
    "no-permission": 1,
    "no-channel": 1,
  });
  const data = dataIndication(one);
  const incoming = client.handleServerDatagram(data, data.length, now);
  assert.equal(incoming === undefined ? "" : formatAddress(incoming.peer), one);
});

function dataIndication(peer: string): Uint8Array {
  return new StunWriter()
    .begin(Method.Data, MessageClass.Indication, messageId(new Uint8Array(12)))
    .xorAddress(Attribute.XorPeerAddress, address(peer))
    .bytes(Attribute.Data, encodeUtf8("data"))
    .finish();
}

test("on a channel nothing is allocated for a packet: framing and place are the same objects every time", () => {
  const pair = new Pair();
  pair.allocated();
  const number = pair.client.bind(address(one), pair.now);
  pair.run(1);
  const peer = address(one);
  const framing = pair.client.send(peer, new Uint8Array(9));
  assert.ok(framing?.kind === "channel" && framing.number === number);
  assert.equal(pair.client.send(peer, new Uint8Array(8)), framing);
  const data = channelData(number, encodeUtf8("abc"));
  const incoming = pair.client.handleServerDatagram(data, data.length, pair.now);
  assert.deepEqual({ offset: incoming?.offset, length: incoming?.length }, { offset: 4, length: 3 });
  assert.equal(pair.client.handleServerDatagram(data, data.length, pair.now), incoming);
});
