/** What is kept of calls that are over. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_EDGE_LIMITS } from "../../../src/core/edge/config.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { Phone, sdpOf, World } from "./world.ts";

function phones(world: World): readonly [Phone, Phone] {
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  return [alice, bob];
}

test("of a call that is over it is kept who it was, how long, why it ended, and what was heard both ways", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  alice.speak(sdpOf(answer));
  bob.speak(sdpOf(bob.request("INVITE")));
  bob.speak(sdpOf(bob.request("INVITE")));
  world.pass(10_000);
  alice.send(alice.within(answer, "BYE"));
  bob.send(createResponse(bob.request("BYE"), 200));
  assert.equal(world.edge.calls().length, 0);
  const [ended, ...others] = world.edge.endedCalls(world.now);
  assert.deepEqual(others, []);
  assert.ok(ended?.media && ended.answeredAt !== undefined && ended.endedAt !== undefined);
  assert.deepEqual(
    [ended.caller.name, ended.callee?.name, ended.end, ended.endedAt - ended.answeredAt],
    ["alice", "bob", "hung up by caller", 10_000],
  );
  const counted = ended.media.legs.map(({ leg, streams }) => [leg === ended.caller.leg, streams[0]?.media.packetsIn]);
  // Those count that were carried: the first two of each side only proved it.
  assert.deepEqual(counted, [
    [true, 1],
    [false, 4],
  ]);
});

test("a call is over when somebody hangs up, though the other phone is gone and says nothing to it", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  world.pass(10_000);
  alice.send(alice.within(answer, "BYE"));
  world.pass(33_000);
  const [ended] = world.edge.endedCalls(world.now);
  assert.ok(ended?.answeredAt !== undefined && ended.endedAt !== undefined);
  assert.deepEqual([ended.end, ended.endedAt - ended.answeredAt], ["hung up by caller", 10_000]);
  assert.deepEqual(
    ended.troubles.map(({ what, name }) => [what, name]),
    [["unreachable", "bob"]],
  );
});

test("the last 200 are kept, and none for longer than an hour", () => {
  const world = new World({ limits: { ...DEFAULT_EDGE_LIMITS, phonesPerSecond: 10_000, strangersPerSecond: 10_000 } });
  const [alice, bob] = phones(world);
  const refuse = (callId: string): void => {
    alice.ask(alice.invitation("bob", callId));
    bob.answer(486);
    world.pass(40_000);
    for (const phone of [alice, bob]) phone.register();
  };
  for (let i = 1; i <= 90; i++) refuse(`a${i}`);
  const kept = (): string[] => world.edge.endedCalls(world.now).map(({ callId }) => callId);
  assert.deepEqual([kept()[0], kept().at(-1), kept().length], ["a2", "a90", 89]);
  world.pass(3_600_000);
  assert.deepEqual(kept(), []);
  for (const phone of [alice, bob]) phone.register();
  for (let i = 1; i <= 203; i++) {
    alice.ask(alice.invitation("bob", `b${i}`));
    bob.answer(486);
  }
  assert.deepEqual([kept()[0], kept().at(-1), kept().length], ["b4", "b203", 200]);
});
