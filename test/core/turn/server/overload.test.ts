import assert from "node:assert/strict";
import { test } from "node:test";
import { Attribute, Method } from "../../../../src/core/stun/registry.ts";
import { Client, World } from "./world.ts";

/** The server hears that its requests' queue is so full, for as long. */
function crowd(world: World, fill: number, seconds: number): void {
  const passer = new Client(world, "7.7.7.7:7");
  world.fill = fill;
  for (let waited = 0; waited < seconds; waited += 0.05) {
    passer.raw(passer.plain(Method.Binding));
    world.advance(0.05);
  }
}

/** How many of a thousand Bindings are answered. */
function answeredAt(fill: number): number {
  const world = new World({ budgets: { unauthenticatedPerSecond: 10_000, requestsPerSecond: 1000 } });
  const stranger = new Client(world);
  world.fill = fill;
  let answered = 0;
  for (let i = 0; i < 1000; i++) answered += stranger.raw(stranger.plain(Method.Binding)).length;
  assert.equal(world.server.stats.drops.overload, 1000 - answered);
  return answered;
}

test("the fuller the queue, the more strangers are dropped, and what is left of it is for sessions", () => {
  assert.equal(answeredAt(0), 1000);
  assert.equal(answeredAt(0.49), 1000);
  assert.ok(Math.abs(answeredAt(0.7) - 500) <= 1);
  assert.equal(answeredAt(0.9), 0);
  assert.equal(answeredAt(1), 0);
});

test("a session's requests are served however full the queue is; a stranger's are not, sealed or not", () => {
  const world = new World();
  const client = new Client(world);
  client.allocated();
  const stranger = new Client(world, "5.6.7.9:1000");
  stranger.challenge();
  world.fill = 1;
  assert.equal(client.refresh().code, 0);
  assert.equal(client.bind(0x4000, "8.8.4.4:5000").code, 0);
  assert.deepEqual(
    stranger.raw(stranger.sealed(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24))),
    [],
  );
  assert.deepEqual(client.raw(client.plain(Method.Binding)), [], "nor what a session could have sent unsealed");
});

test("who asks for an allocation and is turned away is told 508, until there is no time for that either", () => {
  const world = new World();
  const stranger = new Client(world);
  const ask = () =>
    stranger
      .raw(stranger.plain(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24)))
      .map(({ code }) => code);
  world.fill = 0.7;
  const answers = Array.from({ length: 100 }, ask).flat();
  assert.equal(answers.length, 100);
  assert.ok(Math.abs(answers.filter((code) => code === 508).length - 50) <= 1);
  assert.ok(answers.every((code) => code === 508 || code === 401));
  world.fill = 0.9;
  assert.deepEqual(ask(), []);
});

test("RFC 8656 §7.2 (12): while the queue stays full new allocations are refused with 508, and a burst is no overload", () => {
  const world = new World();
  const [before, during, after] = [1, 2, 3].map((port) => new Client(world, `5.6.7.8:${port}`)) as [
    Client,
    Client,
    Client,
  ];
  for (const client of [before, during, after]) client.challenge();
  crowd(world, 0.6, 0.05);
  assert.equal(before.allocate().code, 0, "for a tenth of a second everybody is served");
  crowd(world, 0.6, 0.2);
  const answers = [0, 1, 2, 3].flatMap(() => {
    return during.raw(during.sealed(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24)));
  });
  assert.ok(answers.length > 0);
  for (const answer of answers) assert.equal(answer.code, 508);
  assert.equal(before.refresh().code, 0);
  world.fill = 0;
  assert.equal(after.allocate().code, 0, "with the queue empty it is over at once");
});

test("what was heard of a queue a quarter of a second ago counts no more", () => {
  const world = new World();
  const client = new Client(world, "5.6.7.8:1");
  client.challenge();
  crowd(world, 0.6, 0.3);
  world.advance(0.3);
  world.fill = undefined;
  assert.equal(client.allocate().code, 0);
});

test("full queues of media count as well, and do not hide behind an empty queue of requests", () => {
  const world = new World();
  const client = new Client(world, "5.6.7.8:1");
  client.allocated();
  client.bind(0x4000, "8.8.4.4:5000");
  const newcomer = new Client(world, "5.6.7.8:2");
  newcomer.challenge();
  for (let i = 0; i < 10; i++) {
    world.fill = 1;
    client.channelData(0x4000, "sound");
    world.fill = 0;
    newcomer.raw(newcomer.plain(Method.Binding));
    world.advance(0.02);
  }
  assert.equal(newcomer.allocate().code, 508);
  assert.equal(client.refresh().code, 0);
});
