/** What is left of a call for the half minute in which its messages may come again: what those need, and little memory. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Prefix, parsePrefix } from "../../../src/core/base/prefix.ts";
import { DEFAULT_EDGE_LIMITS, type Trunk } from "../../../src/core/edge/config.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { at, Phone, World } from "./world.ts";

const GATE = "198.18.0.5";

const trunk: Trunk = {
  name: "provider",
  sources: [parsePrefix(`${GATE}/32`) as Prefix],
  media: [],
  target: { transport: "udp", address: at(GATE, 5060) },
  host: "sip.provider.example",
  prefixes: ["0"],
  users: "all",
  calls: 1,
};

interface Scene {
  readonly world: World;
  readonly alice: Phone;
  readonly bob: Phone;
}

function scene(trunks: readonly Trunk[] = []): Scene {
  const enough = { phonesPerSecond: 1e6, strangersPerSecond: 1e6 };
  const most = { user: 1e6, source: 1e6, connection: 1e6, trunk: 1e6 };
  const limits = { ...DEFAULT_EDGE_LIMITS, ...enough, callsPer: most, transactionsPer: most };
  const world = new World({ limits, trunks });
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  return { world, alice, bob };
}

function call(alice: Phone, bob: Phone, to = "bob"): void {
  alice.ask(alice.invitation(to));
  bob.answer(180);
  bob.answer(200);
  const answer = alice.response;
  assert.equal(answer.status, 200);
  alice.send(alice.within(answer, "ACK"));
  alice.send(alice.within(answer, "BYE"));
  bob.send(createResponse(bob.request("BYE"), 200));
}

/** So that what the world has noted is not taken for what the edge keeps. */
function forgetNotes({ world, alice, bob }: Scene): void {
  const notes = [world.events, world.targets, world.stored, world.astray, alice.responses, bob.requests];
  for (const list of notes) (list as unknown[]).length = 0;
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function heapAfter(calls: number, { world, alice, bob }: Scene): number {
  for (let i = 0; i < calls; i++) {
    call(alice, bob);
    forgetNotes({ world, alice, bob });
  }
  for (let i = 0; i < 3; i++) collect();
  return process.memoryUsage().heapUsed;
}

suite("a call that is over", () => {
  test("takes a few kilobytes for as long as its messages may come again", () => {
    const all = scene();
    // What 200 ended calls take as records is of no call after them.
    heapAfter(300, all);
    all.world.pass(40_000);
    for (const phone of [all.alice, all.bob]) phone.register();
    const before = heapAfter(10, all);
    const each = (heapAfter(500, all) - before) / 500;
    assert.ok(each < 6_000, `${Math.round(each)} bytes each`);
  });

  test("is answered with its 200 once more where that comes again, as it was, and its caller is told", () => {
    const { world, alice, bob } = scene();
    call(alice, bob);
    assert.equal(world.edge.calls().length, 0);
    alice.responses.length = 0;
    world.pass(4_000);
    bob.answer(200);
    const { response } = alice;
    assert.equal(response.status, 200);
    assert.match(response.header("contact") ?? "", /^<sip:bob@192\.0\.2\.9:40000;/);
    assert.equal(response.headers.values("via").length, 1);
    world.pass(33_000);
    alice.responses.length = 0;
    bob.answer(200);
    assert.deepEqual(alice.responses, []);
  });

  test("counts for its trunk no more, whatever comes again of it", () => {
    const { world, alice } = scene([trunk]);
    const gate = new Phone(world, "gate", { outside: GATE, port: 5060, inside: GATE });
    call(alice, gate, "0123");
    gate.answer(200);
    alice.ask(alice.invitation("0124"));
    gate.answer(180);
    assert.equal(alice.response.status, 180);
  });
});
