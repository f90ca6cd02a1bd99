/** Which path is chosen, when, and what for. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Attribute } from "../../../src/core/stun/registry.ts";
import { address } from "../turn/server/world.ts";
import { candidate, PEER, type Sent, Solo } from "./solo.ts";

const better = address("198.51.100.1:2000");
const worse = address("198.51.100.9:2000");
const pairOf = (): [ReturnType<typeof candidate>, ReturnType<typeof candidate>] => [
  candidate("198.51.100.1:2000", "host", { foundation: "h" }),
  candidate("198.51.100.9:2000", "srflx", { foundation: "s" }),
];

function nominations(solo: Solo): Sent[] {
  return solo.requests.filter(({ view }) => view.has(Attribute.UseCandidate));
}

suite("RFC 8445 §8.1.1: the controlling agent nominates by another check, with USE-CANDIDATE", () => {
  test("the best of all at once", () => {
    const solo = new Solo().begin(...pairOf());
    solo.answer(better);
    solo.run(50);
    assert.deepEqual(
      nominations(solo).map(({ at, to }) => [at - 1000, to]),
      [[50, "198.51.100.1:2000"]],
    );
    assert.equal(solo.all("selected").length, 0, "not before it is answered");
    solo.answer(better);
    const [selected] = solo.all("selected");
    assert.equal(selected?.reason.code, "best-of-all");
    assert.equal(selected?.path.kind, "direct");
    assert.equal(solo.agent.state, "connected");
  });

  test("one that is not the best, when the better ones have failed", () => {
    const solo = new Solo().begin(...pairOf()).run(60);
    solo.deliver(solo.errorBytes(solo.lastRequest(better), 500), better);
    solo.answer(worse);
    solo.run(50);
    solo.answer(worse);
    assert.equal(solo.all("selected")[0]?.reason.code, "better-failed");
  });

  test("or when they are unanswered for two of the longest round trips, by when the peer has it", () => {
    const solo = new Solo().begin(...pairOf()).run(190);
    solo.answer(worse);
    assert.equal(solo.pair(worse)?.roundTrip, 140);
    solo.run(19);
    assert.equal(nominations(solo).length, 0);
    solo.run(2);
    assert.deepEqual(
      nominations(solo).map(({ at, to }) => [at - 1000, to]),
      [[210, "198.51.100.9:2000"]],
    );
    solo.answer(worse);
    assert.equal(solo.all("selected")[0]?.reason.code, "better-unanswered");
  });

  test("and of short ones not before Ta", () => {
    const solo = new Solo().begin(...pairOf()).run(51);
    solo.answer(worse);
    solo.run(60);
    assert.equal(nominations(solo)[0]?.at, 1100);
  });
});

suite("a relay waits longer for direct pairs", () => {
  const begun = (): Solo =>
    new Solo()
      .begin(candidate("198.51.100.7:2000", "relay"), candidate("198.51.100.1:2000", "srflx", { foundation: "s" }))
      .run(51);

  test("three slots of the peer's at least, though round trips are short", () => {
    const solo = begun();
    solo.answer(PEER);
    solo.run(98);
    assert.equal(nominations(solo).length, 0);
    solo.run(2);
    assert.equal(nominations(solo)[0]?.to, "198.51.100.7:2000");
  });

  test("and as long for the check that an answer from another port promises", () => {
    const solo = begun();
    solo.deliver(solo.answerBytes(solo.lastRequest(better)), { ...better, port: 2001 });
    assert.equal(solo.pair(better)?.failure, "asymmetric");
    solo.answer(PEER);
    solo.run(98);
    assert.equal(nominations(solo).length, 0);
    solo.run(2);
    assert.equal(nominations(solo)[0]?.to, "198.51.100.7:2000");
  });
});

test("a better pair that is found later is moved to; a worse one never is", () => {
  const solo = new Solo().begin(...pairOf()).run(130);
  const late = solo.answerBytes(solo.lastRequest(better));
  solo.answer(worse);
  solo.run(100);
  solo.answer(worse);
  assert.equal(solo.all("selected").length, 1);
  solo.deliver(late, better);
  solo.run(60);
  solo.answer(better);
  assert.deepEqual(
    solo.all("selected").map(({ reason }) => reason.code),
    ["better-unanswered", "moved-to-better"],
  );
  solo.check({ from: worse });
  solo.run(1_000);
  assert.equal(solo.all("selected").length, 2);
});

test("RFC 8445 §8.1.2: checks of worse pairs end when one is selected", () => {
  const solo = new Solo().begin(...pairOf()).run(60);
  solo.answer(better);
  solo.run(60);
  solo.answer(better);
  const before = solo.requests.filter(({ to }) => to === "198.51.100.9:2000").length;
  solo.run(3_000);
  assert.equal(solo.requests.filter(({ to }) => to === "198.51.100.9:2000").length, before);
});

test("USE-CANDIDATE means nothing to the controlling agent", () => {
  const solo = new Solo().begin(...pairOf());
  solo.answer(better);
  solo.run(50);
  solo.answer(better);
  const before = solo.requests.length;
  solo.check({ from: worse, useCandidate: true });
  solo.run(300);
  assert.equal(solo.requests.length, before, "a worse pair is not checked any more");
});

test("a pair that an answer has shown to be valid needs no second check", () => {
  const solo = new Solo({ role: "controlled" }).begin(candidate("198.51.100.7:2000"));
  const first = solo.answerBytes(solo.lastRequest());
  solo.check();
  solo.deliver(first);
  solo.run(300);
  assert.equal(solo.requests.length, 1);
});

test("the relay's path is not used before it is nominated, a direct one as soon as it is valid", () => {
  const solo = new Solo()
    .begin(candidate("198.51.100.7:2000", "relay"), candidate("198.51.100.1:2000", "srflx", { foundation: "s" }))
    .run(60);
  solo.answer(PEER);
  assert.equal(solo.agent.send(0, 1, new Uint8Array(1)), undefined);
  solo.answer(better);
  assert.equal(solo.agent.send(0, 1, new Uint8Array(1))?.remoteAddress.w3, better.w3);
  assert.equal(solo.all("usable").length, 1);
});

test("relay first, where it is asked for", () => {
  const solo = new Solo({ relayFirst: true }).begin(candidate("198.51.100.7:2000", "relay"));
  solo.answer();
  assert.equal(solo.agent.send(0, 1, new Uint8Array(1))?.remoteAddress.w3, PEER.w3);
});

suite("the controlled agent", () => {
  test("RFC 8445 §7.3.1.5: takes a nomination when its own check has succeeded", () => {
    const solo = new Solo({ role: "controlled" }).begin(...pairOf());
    solo.answer(better);
    solo.check({ from: better, useCandidate: true });
    assert.equal(solo.all("selected")[0]?.reason.code, "peer-nominated");
    assert.equal(nominations(solo).length, 0);
  });

  test("RFC 8445 §7.3.1.5: or later, when the nomination was there first", () => {
    const solo = new Solo({ role: "controlled" }).begin(...pairOf());
    solo.check({ from: better, useCandidate: true });
    assert.equal(solo.all("selected").length, 0);
    solo.run(60);
    solo.answer(better);
    assert.equal(solo.all("selected").length, 1);
  });

  test("RFC 8445 §8.1.1: of several nominations takes the best, in whatever order they come", () => {
    for (const order of [
      [better, worse],
      [worse, better],
    ] as const) {
      const solo = new Solo({ role: "controlled" }).begin(...pairOf()).run(60);
      for (const one of order) {
        solo.check({ from: one, useCandidate: true });
        solo.run(60);
        solo.answer(one);
        solo.check({ from: one, useCandidate: true });
      }
      assert.equal(solo.agent.send(0, 1, new Uint8Array(1))?.remoteAddress.w3, better.w3);
    }
  });

  const renominated = (): Solo => {
    const solo = new Solo({ role: "controlled" }).begin(...pairOf()).run(60);
    for (const one of [better, worse]) solo.answer(one);
    solo.check({ from: better, useCandidate: true });
    solo.check({ from: worse, useCandidate: true });
    return solo;
  };

  test("follows to a worse path, when the one in use is silent, in little more than a second", () => {
    const solo = renominated().run(1_060);
    assert.equal(solo.agent.state, "disconnected");
    solo.answer(worse);
    assert.equal(solo.agent.send(0, 1, new Uint8Array(1))?.remoteAddress.w3, worse.w3);
    assert.equal(solo.all("selected").at(-1)?.reason.code, "replaced-lost");
  });

  test("does not follow as long as the better one is answered, and asks it once for each nomination", () => {
    const solo = renominated().run(60);
    const asked = solo.requests.length;
    solo.answer(better);
    solo.run(3_000);
    assert.equal(solo.agent.state, "connected");
    assert.equal(solo.agent.send(0, 1, new Uint8Array(1))?.remoteAddress.w3, better.w3);
    assert.equal(solo.requests.length, asked);
  });
});

test("what is heard from the peer, and has nothing better to wait for, is nominated by its first check", () => {
  const solo = new Solo().begin();
  solo.check();
  assert.equal(nominations(solo).length, 1);
  solo.answer();
  assert.equal(solo.agent.state, "connected");
});

test("where both sides map by destination and port, the chase of new ports has an end", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000", "srflx"));
  for (let n = 0; n < 10; n++) {
    const from = { ...PEER, port: 3000 + n };
    solo.check({ from });
    solo.run(50);
    const last = solo.requests.at(-1) as Sent;
    solo.deliver(solo.answerBytes(last), { ...PEER, port: 4000 + n });
  }
  const checked = new Set(solo.requests.map(({ to }) => to));
  assert.ok(checked.size <= 5, `${[...checked]}`);
});
