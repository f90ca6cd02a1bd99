/** Credentials that end before the session does, and others that follow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { address, PEER, SECRET } from "../server/world.ts";
import { Script } from "./script.ts";
import { SessionPair, timeLimited } from "./session-pair.ts";

const peer = `${PEER}:7000`;
const strict = { sharedSecrets: [SECRET], sessionBeyondExpiry: 0 };

test("a call of two hours outlives credentials of an hour, and loses nothing", () => {
  const pair = new SessionPair(timeLimited(3600), strict).opened(peer);
  let back = 0;
  for (let seconds = 0; seconds < 7200; seconds++) {
    back += pair.converse(peer, 1);
    const asked = pair.renewals.length;
    if (asked > 0 && asked === pair.relayed.length) {
      const { username, password } = timeLimited(seconds + 3600);
      pair.session.handleCredentials(username, password, pair.now);
    }
  }
  assert.equal(back, 7200);
  assert.deepEqual(pair.told, []);
  assert.deepEqual(
    pair.renewals.map(({ reason }) => reason),
    ["expiring", "expiring"],
  );
  assert.equal(new Set(pair.relayed).size, 3, "each user name has an allocation of its own");
  assert.deepEqual(
    pair.events.filter((e) => e.type === "allocated").map(({ again }) => again),
    [false, true, true],
  );
  pair.run(31);
  assert.equal(pair.world.server.stats.allocations, 1);
});

test("RFC 8656 §5: with another user name another allocation takes over, and the former is heard for 30 s more", () => {
  const pair = new SessionPair(timeLimited(3600), strict).opened(peer);
  pair.session.permit(address("8.8.8.8:0"), pair.now);
  assert.equal(pair.converse(peer, 2), 2);
  const relay = pair.reached[0]?.relay as number;
  const { username, password } = timeLimited(7200);
  pair.session.handleCredentials(username, password, pair.now);
  pair.settle();
  assert.deepEqual([pair.world.server.stats.allocations, pair.world.server.stats.permissions], [2, 4]);
  assert.equal(pair.world.server.stats.errors[441], 0, "the server is not asked to refuse it");
  assert.equal(pair.converse(peer, 1), 1);
  assert.notEqual(pair.reached.at(-1)?.relay, relay);
  pair.run(28);
  pair.fromPeer(encodeUtf8("to the former address"), address(peer), relay);
  pair.settle();
  assert.deepEqual(pair.heard.at(-1), { payload: "to the former address", path: 1 });
  pair.run(2);
  assert.equal(pair.world.server.stats.allocations, 1, "it is ended, and does not just run out");
  assert.deepEqual([...pair.paths.keys()], [2]);
  assert.deepEqual(pair.told, []);
});

test("the same user name with another password keeps the allocation, and what was refused is asked again", () => {
  const script = Script.allocated({ renewable: true });
  for (const other of [peer, "8.8.8.8:1"]) script.client.permit(address(other), script.now);
  script.drain();
  const { sends } = script;
  script.challenge(401);
  script.client.bind(address("8.8.4.4:1"), script.now);
  script.drain();
  script.challenge(401);
  assert.equal(script.told.filter(({ kind }) => kind === "renew").length, 1, "asked once, for both");
  script.client.handleCredentials("alice", "looking glass", script.now);
  script.drain();
  assert.equal(script.sends, sends + 3, "both are asked again, at once");
  script.answer(MessageClass.Success, () => {}, "looking glass");
  assert.equal(script.told.at(-1)?.kind, "event");
  assert.deepEqual(script.reasons, []);
});

test("another password that comes unasked is kept until the former is refused, which servers need not do", () => {
  const pair = new SessionPair({}, { nonceLifetime: 60 }).opened(peer);
  pair.world.users.set("alice", "looking glass");
  pair.session.handleCredentials("alice", "looking glass", pair.now);
  assert.equal(pair.converse(peer, 1300), 1300);
  assert.deepEqual([pair.told, pair.relayed.length, pair.renewals], [[], 1, []]);
  const script = Script.allocated({ renewable: true });
  script.client.handleCredentials("alice", "looking glass", script.now);
  script.pass(500);
  script.challenge(401);
  script.answer(MessageClass.Success, (w) => w.u32(Attribute.Lifetime, 600), "looking glass");
  script.pass(500);
  assert.deepEqual([script.reasons, script.request.method], [[], Method.Refresh]);
});

test("credentials that come unasked are used at once, whatever is going on", () => {
  for (const moment of ["before", "connecting", "live"]) {
    const pair = new SessionPair({ username: "nobody" });
    pair.world.users.set("carol", "c");
    if (moment === "before") pair.session.handleCredentials("carol", "c", pair.now);
    pair.session.open(pair.now);
    if (moment === "connecting") pair.session.handleCredentials("carol", "c", pair.now);
    pair.run(1);
    assert.equal(pair.session.isLive, moment !== "live", moment);
  }
});

test("an Allocate that is under way with the former name is left behind", () => {
  const script = new Script({ renewable: true });
  script.challenge();
  script.client.handleCredentials("carol", "c", script.now);
  script.drain();
  assert.equal(script.connects.length, 2);
  script.client.handleConnected(script.now);
  script.drain();
  script.challenge();
  assert.equal(script.request.text(Attribute.Username, 99), "carol");
});

test("a server that was restarted after the credentials had ended gets others", () => {
  const pair = new SessionPair({ ...timeLimited(300), keepalive: 0 }, { sharedSecrets: [SECRET] }).opened(peer);
  pair.run(400);
  pair.session.handleDisconnected(1, pair.now);
  pair.run(2);
  assert.deepEqual(
    [pair.told, pair.renewals.map(({ reason }) => reason)],
    [["lost connection-lost"], ["unauthenticated"]],
  );
  assert.equal(pair.session.isLive, false);
  const { username, password } = timeLimited(4000);
  pair.session.handleCredentials(username, password, pair.now);
  pair.run(1);
  assert.equal(pair.converse(peer, 5), 5);
  assert.equal(pair.paths.size, 1);
});

test("when there are no others, what waits is refused, and the end has its reason", () => {
  const script = Script.allocated({ renewable: true });
  script.client.permit(address(peer), script.now);
  script.drain();
  script.challenge(401);
  assert.deepEqual(script.reasons, [], "it waits");
  assert.deepEqual(script.told.at(-1)?.kind, "renew");
  script.client.handleNoCredentials(script.now);
  script.drain();
  assert.deepEqual(script.reasons, ["permission unauthenticated"]);
  script.pass(500);
  assert.equal(script.request.method, Method.Refresh);
  script.challenge(401);
  script.pass(59.9);
  assert.equal(script.reasons.length, 1);
  script.pass(0.2);
  assert.deepEqual(script.reasons.slice(1), ["not-refreshed unauthenticated"], "a minute is waited");
  script.pass(60);
  assert.deepEqual(script.reasons.slice(2), ["ended unauthenticated"]);
});

test("others that are refused too are told, and asked for again when half of what is left has passed", () => {
  const script = Script.allocated({ renewable: true });
  script.pass(500);
  script.challenge(401);
  script.client.handleCredentials("alice", "wrong too", script.now);
  script.drain();
  script.challenge(401);
  assert.deepEqual(script.reasons, ["not-refreshed unauthenticated"]);
  script.pass(51);
  script.challenge(401);
  assert.equal(script.told.filter(({ kind }) => kind === "renew").length, 2);
});

test("RFC 8656 §5: a 441 is asked about as a 401 is", () => {
  const script = Script.allocated({ renewable: true });
  script.pass(500);
  script.refuse(441, () => {}, "wonderland");
  assert.equal(script.told.at(-1)?.kind, "renew");
  const without = Script.allocated();
  without.pass(500);
  without.refuse(441, () => {}, "wonderland");
  assert.deepEqual(without.reasons, ["not-refreshed wrong-credentials"]);
});

test("when the other allocation does not come to be, that is told, and the first goes on", () => {
  const pair = new SessionPair(timeLimited(3600), strict).opened(peer);
  pair.session.handleCredentials("1800007200:bob", "wrong", pair.now);
  assert.equal(pair.converse(peer, 5), 5);
  assert.deepEqual(pair.told, ["not-renewed unauthenticated"]);
  pair.isDown = true;
  const { username, password } = timeLimited(7200);
  pair.session.handleCredentials(username, password, pair.now);
  assert.equal(pair.converse(peer, 60), 60);
  assert.deepEqual(pair.told.slice(1), ["not-renewed timed-out"]);
  assert.equal(pair.world.server.stats.allocations, 1);
  assert.throws(() => pair.session.handleCredentials("", "x", pair.now), { code: "bad-credentials" });
});

test("who wants no other allocation after a loss gets none here either", () => {
  const never = { attempts: 0, firstDelay: 1, maxDelay: 1 };
  const pair = new SessionPair({ ...timeLimited(3600), reallocation: never }, strict).opened(peer);
  const { username, password } = timeLimited(7200);
  pair.session.handleCredentials(username, password, pair.now);
  pair.run(1);
  assert.deepEqual([pair.told, pair.world.server.stats.allocations], [["not-renewed wrong-credentials"], 1]);
});

test("wishes that come while the other allocation is made are had by both", () => {
  const pair = new SessionPair(timeLimited(3600), strict).opened(peer);
  const { username, password } = timeLimited(7200);
  pair.session.handleCredentials(username, password, pair.now);
  pair.session.bind(address(`${PEER}:7001`), pair.now);
  pair.session.permit(address("8.8.8.8:0"), pair.now);
  pair.session.unbind(address(peer));
  pair.run(40);
  const { channels, permissions } = pair.world.server.stats;
  assert.deepEqual({ channels, permissions }, { channels: 1, permissions: 2 });
  assert.equal(pair.converse(`${PEER}:7001`, 3), 3);
});

test("closing ends every allocation, and is told once", () => {
  for (const wait of [0, 1]) {
    const pair = new SessionPair(timeLimited(3600), strict).opened(peer);
    const { username, password } = timeLimited(7200);
    pair.session.handleCredentials(username, password, pair.now);
    if (wait > 0) pair.run(wait);
    pair.session.close(pair.now);
    pair.run(3);
    assert.deepEqual(pair.told, ["ended closed"]);
    assert.deepEqual([pair.world.server.stats.allocations > 1 - wait, pair.paths.size], [false, 0]);
    assert.equal(pair.session.pollTimeout(), undefined);
    pair.session.handleCredentials(username, password, pair.now);
    pair.run(1);
    assert.equal(pair.paths.size, 0);
  }
});

test("credentials that follow each other quickly: the last are what counts", () => {
  const pair = new SessionPair(timeLimited(3600), strict).opened(peer);
  for (const seconds of [4000, 5000, 6000]) {
    const { username, password } = timeLimited(seconds);
    pair.session.handleCredentials(username, password, pair.now);
    if (seconds === 5000) pair.run(1);
  }
  pair.run(1);
  assert.equal(pair.world.server.stats.allocations, 2, "of former ones only the last is still heard");
  assert.equal(pair.relayed.length, 3, "4000 was given up before it had an allocation");
  pair.run(31);
  assert.deepEqual([pair.world.server.stats.allocations, pair.paths.size, pair.told], [1, 1, []]);
});

test("an allocation that is lost while the other is made is told, and the other takes over", () => {
  const never = { attempts: 1, firstDelay: 60_000, maxDelay: 60_000 };
  const pair = new SessionPair({ ...timeLimited(3600), reallocation: never, transport: "tcp" }, strict).opened(peer);
  const { username, password } = timeLimited(7200);
  pair.session.handleCredentials(username, password, pair.now);
  pair.session.handleDisconnected(1, pair.now);
  pair.run(1);
  assert.deepEqual(pair.told, ["lost connection-lost"]);
  assert.equal(pair.converse(peer, 3), 3);
  pair.run(100);
  assert.deepEqual([pair.paths.size, pair.relayed.length], [1, 2]);
});

test("when all attempts are used up while the other is made, that is told, and still others may follow", () => {
  const once = { attempts: 1, firstDelay: 1, maxDelay: 1 };
  const pair = new SessionPair({ ...timeLimited(3600), reallocation: once, transport: "tcp" }, strict).opened(peer);
  pair.isDown = true;
  const [first, second] = [timeLimited(7200), timeLimited(7300)];
  pair.session.handleCredentials(first.username, first.password, pair.now);
  for (let i = 0; i < 2; i++) {
    pair.session.handleDisconnected(1, pair.now);
    pair.run(0.1);
  }
  assert.deepEqual(pair.told, ["lost connection-lost", "lost connection-lost"]);
  pair.isDown = false;
  pair.session.handleCredentials(second.username, second.password, pair.now);
  pair.session.permit(address("8.8.8.8:1"), pair.now);
  pair.run(1);
  assert.equal(pair.converse(peer, 3), 3);
  assert.equal(pair.told.length, 2);
  assert.equal(pair.events.at(-1)?.type, "permission", "wishes meanwhile are for the other");
});

test("a former allocation that is lost is not missed", () => {
  const pair = new SessionPair({ ...timeLimited(3600), transport: "tcp" }, strict).opened(peer);
  const { username, password } = timeLimited(7200);
  pair.session.handleCredentials(username, password, pair.now);
  pair.run(1);
  pair.session.handleDisconnected(1, pair.now);
  assert.equal(pair.converse(peer, 5), 5);
  assert.deepEqual([pair.told, [...pair.paths.keys()]], [[], [2]]);
});

test("what is wanted and not answered yet keeps a client from being settled", () => {
  const script = Script.allocated({ renewable: true });
  assert.equal(script.client.isSettled, true);
  script.client.permit(address(peer), script.now);
  assert.equal(script.client.isSettled, false);
  script.drain();
  script.answer(MessageClass.Success, () => {}, "wonderland");
  assert.equal(script.client.isSettled, true);
});
