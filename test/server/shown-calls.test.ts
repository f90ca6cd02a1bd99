/** What is told of calls over HTTP, of calls on a virtual clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Clock, shownCall } from "../../src/server/services/sip/shown.ts";
import { Phone, sdpOf, World } from "../core/edge/world.ts";

function shown(world: World) {
  const [call] = world.edge.calls();
  assert.ok(call);
  return shownCall(call, new Clock(world.now, 1_700_000_000_000));
}

test("of a call to echo the phone's sound is shown, and nothing of a phone that is none", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  alice.register();
  alice.ask(alice.invitation("echo"));
  alice.send(alice.within(alice.response, "ACK"));
  alice.speak(sdpOf(alice.response));
  const { called, callee, streams } = shown(world);
  assert.deepEqual([called, callee], ["echo", null]);
  assert.deepEqual(
    streams.map(({ party, kind, packetsIn }) => [party, kind, packetsIn > 0]),
    [["caller", "audio", true]],
  );
});

test("of a call that rings only the side is shown that has said something", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) phone.register();
  alice.ask(alice.invitation("bob"));
  bob.answer(180);
  assert.ok(shown(world).streams.every(({ kind }) => kind === "audio"));
  bob.answer(200);
  const { callee, streams } = shown(world);
  assert.equal(callee?.name, "bob");
  assert.deepEqual(streams.map(({ party }) => party).toSorted(), ["callee", "caller"]);
});

test("a service's call ends in the same words as any other", () => {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  alice.register();
  alice.ask(alice.invitation("echo"));
  const { response } = alice;
  alice.send(alice.within(response, "ACK"));
  alice.send(alice.within(response, "BYE"));
  const ends = world.events.flatMap((event) =>
    event.type === "call" && event.what === "ended" ? [event.call.end] : [],
  );
  assert.deepEqual(ends, ["hung up by caller"]);
});
