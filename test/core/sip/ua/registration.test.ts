import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { defaultRegistrarConfig } from "../../../../src/core/sip/registrar/config.ts";
import { AgentPhone } from "../../edge/services/agent-phone.ts";
import { World } from "../../edge/world.ts";

function phone(world: World, more: { readonly expires?: number; readonly password?: string } = {}): AgentPhone {
  const alice = new AgentPhone(world, "alice", { outside: "198.51.100.7", ...more });
  alice.registrar.start(world.now);
  alice.settle();
  return alice;
}

suite("a registration of ours", () => {
  test("RFC 3261 §10.2.4: is refreshed before it ends, with a number that grows, and taken back", () => {
    const world = new World();
    const alice = phone(world);
    assert.deepEqual(alice.words(), ["registered"]);
    assert.equal([...world.edge.bindings()].length, 1);
    for (let minute = 0; minute < 180; minute++) {
      alice.pass(60_000);
      assert.equal([...world.edge.bindings()].length, 1, `minute ${minute}`);
    }
    assert.ok(!world.events.some((event) => event.type === "binding" && event.what === "expired"));
    assert.deepEqual(alice.words(), [], "told once");
    const registered = alice.got.filter((line) => line.startsWith("SIP/2.0 200")).length;
    assert.ok(registered >= 4, `${registered}`);
    alice.registrar.stop(world.now);
    alice.settle();
    assert.deepEqual(alice.words(), ["unregistered"]);
    assert.deepEqual([[...world.edge.bindings()].length, alice.registrar.pollTimeout()], [0, undefined]);
  });

  test("RFC 3261 §10.2.8: asks for longer where the registrar wants that", () => {
    const world = new World({ registrar: { ...defaultRegistrarConfig, shortest: 400 } });
    const alice = phone(world, { expires: 30 });
    assert.deepEqual(alice.words(), ["registered"]);
    assert.ok(alice.got.includes("SIP/2.0 423 Interval Too Brief"), alice.got.join());
  });

  test("a wrong password is not tried twice at once, and later more and more rarely", () => {
    const world = new World();
    const alice = phone(world, { password: "guess" });
    assert.deepEqual(alice.words(), ["failed 401"]);
    const first = alice.got.length;
    assert.equal(first, 2);
    alice.pass(3600 * 1000);
    const tries = alice.words().length;
    assert.ok(tries >= 3 && tries <= 10, `${tries}`);
  });

  test("nobody answers: it is tried again, and succeeds when somebody does", () => {
    const world = new World();
    const alice = new AgentPhone(world, "alice", { outside: "198.51.100.7" });
    alice.isDeaf = true;
    alice.registrar.start(world.now);
    alice.settle();
    alice.pass(33_000);
    assert.deepEqual(alice.words(), ["failed 0"]);
    assert.equal(alice.registrar.isRegistered, false);
    alice.isDeaf = false;
    alice.pass(60_000);
    assert.deepEqual(alice.words(), ["registered"]);
  });
});
