/** Role conflicts. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { address } from "../turn/server/world.ts";
import { Call } from "./call.ts";
import { build, cells } from "./grid.ts";
import { candidate, errorCode, PEER, PEERS, Solo } from "./solo.ts";

const [least, most] = [new Uint8Array(8), new Uint8Array(8).fill(0xff)];
const cell = cells().find(({ family }) => family === "apart") as ReturnType<typeof cells>[number];

suite("RFC 8445 §7.3.1.1: of two with one role the greater tie-breaker controls", () => {
  for (const role of ["controlling", "controlled"] as const) {
    const stays = role === "controlling" ? least : most;
    test(`${role}, and stays so: the peer gets a 487`, () => {
      const solo = new Solo({ role }).begin(candidate("198.51.100.7:2000"));
      const refusal = solo.check({ role, tieBreaker: stays });
      assert.equal(refusal && errorCode(refusal), 487);
      assert.equal(solo.agent.role, role);
    });
    test(`${role}, and gives way`, () => {
      const solo = new Solo({ role }).begin(candidate("198.51.100.7:2000"));
      const answer = solo.check({ role, tieBreaker: stays === least ? most : least });
      assert.equal(answer?.view.class, MessageClass.Success);
      assert.notEqual(solo.agent.role, role);
      assert.deepEqual(
        solo.all("role").map((one) => one.role),
        [solo.agent.role],
      );
    });
  }
});

test("RFC 8445 §7.3.1.1: of two equal tie-breakers the own one counts as the greater", () => {
  for (const role of ["controlling", "controlled"] as const) {
    const solo = new Solo({ role }).begin(candidate("198.51.100.7:2000"));
    const type = role === "controlling" ? Attribute.IceControlling : Attribute.IceControlled;
    const answer = solo.check({ role, tieBreaker: solo.lastRequest().view.bytes(type)?.slice() as Uint8Array });
    assert.equal(answer && errorCode(answer), role === "controlling" ? 487 : 0);
    assert.equal(solo.agent.role, "controlling");
  }
});

test("RFC 8445 §6.1.2.3: who changes roles weighs pairs anew, as the peer does", () => {
  const solo = new Solo().gather(address("192.0.2.1:1000"), address("192.0.2.2:1000"));
  const [first, second] = solo.all("candidate").map((one) => one.candidate.priority);
  const candidates = [
    candidate("198.51.100.7:1", "host", { priority: first as number }),
    candidate("198.51.100.7:2", "host", { priority: second as number }),
  ];
  solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates }, solo.now));
  const order = (): string[] =>
    (solo.agent.report(0)?.pairs ?? []).map(({ local, remote }) => `${local.address.w3 & 255}:${remote.address.port}`);
  assert.deepEqual(order(), ["1:1", "1:2", "2:1", "2:2"]);
  solo.check({ role: "controlling", tieBreaker: most });
  assert.equal(solo.agent.role, "controlled");
  assert.deepEqual(
    order().filter((one) => one.length === 3),
    ["1:1", "2:1", "1:2", "2:2"],
  );
});

test("RFC 8489 §9.1.4: a 487 without the peer's seal changes nothing", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  const { view } = solo.lastRequest();
  solo.deliver(solo.begun(MessageClass.Error, view.data.slice(4, 20)).errorCode(487).fingerprint().finish());
  assert.equal(solo.agent.role, "controlling");
  assert.equal(solo.pair()?.state, "in-progress");
});

test("RFC 8445 §7.2.5.1: a 487 makes the agent give way, and check again with the other role and another number", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  const first = solo.lastRequest();
  solo.deliver(solo.errorBytes(first, 487));
  assert.equal(solo.agent.role, "controlled");
  solo.run(50);
  const { view } = solo.lastRequest();
  assert.ok(view.has(Attribute.IceControlled));
  assert.notDeepEqual(view.bytes(Attribute.IceControlled), first.view.bytes(Attribute.IceControlling));
});

test("a 487 to a check that was sent before a switch changes nothing more", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  const first = solo.lastRequest();
  solo.check({ role: "controlling", tieBreaker: most });
  assert.equal(solo.agent.role, "controlled");
  solo.deliver(solo.errorBytes(first, 487), PEER);
  assert.equal(solo.agent.role, "controlled");
});

for (const role of ["controlling", "controlled"] as const) {
  test(`two agents that are both ${role} settle it, and connect`, () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { world, a, b } = build(cell, { seed, config: { role } });
      new Call(a, b).start();
      world.advance(3_000);
      assert.deepEqual([a.agent.state, b.agent.state], ["connected", "connected"], `seed ${seed}`);
      assert.notEqual(a.agent.role, b.agent.role);
    }
  });
}
