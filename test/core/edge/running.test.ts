/** What is told to an edge that runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, EDGE, mediaOf, Phone, sdpOf, World } from "./world.ts";

function phones(world: World): readonly [Phone, Phone] {
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  return [alice, bob];
}

test("while it drains no call begins, and who talks goes on", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  world.edge.handleDrain();
  assert.equal(bob.ask(bob.invitation("alice")).status, 503);
  assert.equal(world.edge.calls().length, 1);
  alice.send(alice.within(answer, "BYE"));
  assert.equal(bob.request("BYE").callId, answer.callId);
});

test("a user who is removed is not called any more", () => {
  const world = new World();
  const [alice] = phones(world);
  world.edge.handleUserRemoved("bob", world.now);
  world.settle();
  assert.equal(alice.ask(alice.invitation("bob")).status, 480);
});

test("the host's public address changes: the next call is told of the new one", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  const [bound, advertised] = [at(EDGE, 0), at("203.0.113.99", 0)];
  const listener = { transport: "udp", local: at(EDGE, 5060), name: "203.0.113.99:5060" } as const;
  world.edge.handlePlaces({ listeners: [listener], relays: [{ bound, advertised }], own: [bound] });
  alice.ask(alice.invitation("bob"));
  const invite = bob.request("INVITE");
  assert.match(invite.header("via") ?? "", /203\.0\.113\.99:5060/);
  assert.match(invite.header("record-route") ?? "", /203\.0\.113\.99:5060/);
  assert.match(sdpOf(invite).format(), /c=IN IP4 203\.0\.113\.99/);
  assert.ok(mediaOf(sdpOf(invite)).port > 0);
});
