import assert from "node:assert/strict";
import { test } from "node:test";
import type { SipTransport } from "../../../../src/core/sip/flow.ts";
import type { ServerTransaction } from "../../../../src/core/sip/transaction/server.ts";
import { answer, flow, request, World } from "./world.ts";

/** A request that has come. */
function arrived(
  world: World,
  method: string,
  transport: SipTransport = "udp",
  more: Parameters<typeof request>[1] = {},
) {
  world.transactions.handleRequest(request(method, more), flow(transport), world.now);
  const [told] = world.drain();
  assert.ok(told?.kind === "request", String(told?.kind));
  return told.transaction;
}

function respond(world: World, transaction: ServerTransaction, status: number): boolean {
  return world.transactions.respond(transaction, answer(transaction.request.format(), status), world.now);
}

function again(world: World, method: string, more: Parameters<typeof request>[1] = {}): string[] {
  world.transactions.handleRequest(request(method, more), flow(), world.now);
  return world.summary();
}

test("a request is told once, and gets its last answer whenever it comes again", () => {
  const world = new World();
  const transaction = arrived(world, "INVITE");
  assert.deepEqual(again(world, "INVITE"), [], "no answer yet");
  respond(world, transaction, 100);
  respond(world, transaction, 180);
  assert.deepEqual(world.summary(), ["100", "180"]);
  assert.deepEqual(again(world, "INVITE"), ["180"]);
});

test("answers go to where the request came from", () => {
  const world = new World();
  const transaction = arrived(world, "OPTIONS");
  respond(world, transaction, 200);
  const [sent] = world.drain();
  assert.ok(sent?.kind === "send");
  assert.equal(sent.to, transaction.from);
});

test("RFC 3261 §17.2.1: on UDP a refusal is repeated until the ACK, and given up after 32 s", () => {
  const world = new World();
  respond(world, arrived(world, "INVITE"), 486);
  assert.deepEqual(world.summary(), ["486"]);
  const times = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
  assert.deepEqual(world.pass(40_000), [...times.map((ms) => `${ms} 486`), "32000 unacknowledged"]);
  assert.equal(world.transactions.size, 0);
});

test("RFC 3261 §17.2.1: the ACK ends repetition, and is not told; for 5 s more ACKs are absorbed", () => {
  const world = new World();
  respond(world, arrived(world, "INVITE"), 486);
  world.pass(600);
  assert.deepEqual(again(world, "ACK", { toTag: "t" }), []);
  assert.deepEqual(again(world, "ACK", { toTag: "t" }), []);
  assert.deepEqual(world.pass(4_999), []);
  assert.equal(world.transactions.size, 1);
  world.pass(1);
  assert.equal(world.transactions.size, 0);
});

test("on TCP a refusal is not repeated, and its end is awaited all the same", () => {
  const world = new World();
  respond(world, arrived(world, "INVITE", "tcp"), 486);
  assert.deepEqual(world.summary(), ["486"]);
  assert.deepEqual(world.pass(40_000), ["32000 unacknowledged"]);
});

test("RFC 6026 §7.1: once accepted an INVITE's repetitions are absorbed for 32 s, and its ACK is told", () => {
  const world = new World();
  const transaction = arrived(world, "INVITE");
  assert.equal(respond(world, transaction, 200), true);
  assert.equal(respond(world, transaction, 200), true, "its user repeats it");
  assert.equal(respond(world, transaction, 486), false);
  assert.equal(respond(world, transaction, 180), false);
  assert.deepEqual(world.summary(), ["200", "200"]);
  assert.deepEqual(again(world, "INVITE"), []);
  assert.deepEqual(again(world, "ACK", { toTag: "t" }), ["ack"]);
  assert.deepEqual(again(world, "ACK", { branch: "z9hG4bKanother", toTag: "t" }), ["ack"]);
  world.pass(32_000);
  assert.equal(world.transactions.size, 0);
});

test("RFC 3261 §17.2.2: other requests are answered once, and repetitions for 32 s, on TCP not at all", () => {
  const world = new World();
  const transaction = arrived(world, "REGISTER");
  assert.equal(respond(world, transaction, 200), true);
  assert.equal(respond(world, transaction, 500), false);
  assert.deepEqual(world.summary(), ["200"]);
  world.pass(31_999);
  assert.deepEqual(again(world, "REGISTER"), ["200"]);
  world.pass(1);
  assert.equal(world.transactions.size, 0);
  respond(world, arrived(world, "REGISTER", "tcp"), 200);
  world.pass(0);
  assert.equal(world.transactions.size, 0);
});

test("RFC 4320 §4.1: what is no INVITE gets no provisional response but 100", () => {
  const world = new World();
  const transaction = arrived(world, "BYE");
  assert.equal(respond(world, transaction, 180), false);
  assert.equal(respond(world, transaction, 100), true);
  assert.deepEqual(world.summary(), ["100"]);
  assert.equal(respond(world, transaction, 200), true);
});

test("RFC 4320 §4.2: what is no INVITE never gets a 408, however often it comes again", () => {
  const world = new World();
  const transaction = arrived(world, "BYE");
  respond(world, transaction, 100);
  assert.equal(respond(world, transaction, 408), false);
  world.summary();
  world.transactions.handleRequest(transaction.request, transaction.from, world.now);
  assert.deepEqual([world.transactions.pollOutput(), respond(world, transaction, 200)], [undefined, false]);
  world.pass(32_000);
  assert.equal(world.transactions.size, 0);
});

test("RFC 3261 §9.2: a CANCEL is a transaction of its own, and about the INVITE with its branch", () => {
  const world = new World();
  const invite = arrived(world, "INVITE");
  const cancel = arrived(world, "CANCEL");
  assert.notEqual(cancel, invite);
  assert.equal(world.transactions.cancelledBy(cancel.request), invite);
  assert.equal(world.transactions.cancelledBy(request("CANCEL", { branch: "z9hG4bKb" })), undefined);
});

test("RFC 3261 §17.2.3: the same branch of another sent-by, or with another method, is another transaction", () => {
  const world = new World();
  arrived(world, "INVITE");
  arrived(world, "INVITE", "udp", { via: "SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKa" });
  arrived(world, "INVITE", "udp", { via: "SIP/2.0/UDP 10.0.0.2:5062;branch=z9hG4bKa" });
  arrived(world, "OPTIONS");
  assert.equal(world.transactions.size, 4);
  assert.equal(world.transactions.isKnown(request("OPTIONS")), true);
  assert.equal(world.transactions.isKnown(request("INFO")), false);
});

test("RFC 3261 §17.2.3: requests without a unique branch are told apart by what else they have", () => {
  const world = new World();
  const via = "SIP/2.0/UDP 10.0.0.2:5060";
  const transaction = arrived(world, "INVITE", "udp", { via });
  arrived(world, "INVITE", "udp", { via, cseq: 2 });
  arrived(world, "INVITE", "udp", { via: `${via};branch=1` });
  respond(world, transaction, 486);
  assert.deepEqual(world.summary(), ["486"]);
  assert.deepEqual(again(world, "INVITE", { via }), ["486"]);
  assert.deepEqual(again(world, "ACK", { via, toTag: "t" }), []);
  assert.deepEqual(again(world, "INVITE", { via }), [], "confirmed");
});
