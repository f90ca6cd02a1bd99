/** Consent, keepalives, and what follows when a path falls silent. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { MessageClass } from "../../../src/core/stun/registry.ts";
import { address } from "../turn/server/world.ts";
import { candidate, PEER, PEERS, Solo } from "./solo.ts";

const other = address("198.51.100.9:2000");

/** Lets time pass, and answers what is asked. */
function answering(solo: Solo, ms: number): void {
  const end = solo.now + ms;
  while (solo.now < end) {
    const before = solo.requests.length;
    solo.run(Math.min(end, solo.agent.pollTimeout() ?? end) - solo.now);
    if (solo.requests.length > before) solo.answer();
  }
}

test("RFC 7675 §5.1: a check every 4 to 6 s, never the same twice, and none is repeated", () => {
  const solo = new Solo().connected();
  const begin = solo.now;
  const before = solo.requests.length;
  answering(solo, 300_000);
  const checks = solo.requests.slice(before);
  const gaps = checks.map(({ at }, n) => at - (checks[n - 1]?.at ?? begin));
  assert.ok(
    gaps.every((gap) => gap >= 4_000 && gap <= 6_000),
    String(gaps),
  );
  assert.ok(new Set(gaps.map(Math.round)).size > 40, "spread by chance");
  assert.equal(new Set(checks.map(({ view }) => String(view.data.slice(8, 20)))).size, checks.length);
  assert.equal(solo.agent.state, "connected");
});

test("RFC 7675 §5.1: without an answer for 30 s consent expires, and nothing more is sent", () => {
  const solo = new Solo().connected();
  const since = solo.now;
  solo.run(29_999);
  assert.ok(solo.agent.send(0, 1, new Uint8Array(1)));
  solo.run(since + 30_000 - solo.now);
  assert.equal(solo.agent.send(0, 1, new Uint8Array(1)), undefined);
  assert.equal(solo.agent.state, "failed");
  assert.equal(solo.all("failed")[0]?.reason.code, "consent-expired");
  const sent = solo.sent.length;
  solo.run(120_000);
  assert.equal(solo.sent.length, sent);
});

test("RFC 7675 §5.1: a check that is not answered is not repeated either", () => {
  const solo = new Solo().connected();
  const before = solo.requests.length;
  solo.run(6_000);
  const id = String(solo.requests[before]?.view.data.slice(8, 20));
  solo.run(20_000);
  assert.equal(solo.requests.filter(({ view }) => String(view.data.slice(8, 20)) === id).length, 1);
});

test("the path is doubtful 5 s after a check that was not answered, and no more when one is", () => {
  const solo = new Solo().connected();
  const before = solo.requests.length;
  solo.run(6_000);
  const asked = solo.requests[before];
  assert.ok(asked);
  solo.run(asked.at + 4_999 - solo.now);
  assert.equal(solo.agent.state, "connected");
  solo.run(1);
  assert.equal(solo.agent.state, "disconnected");
  assert.ok(solo.agent.send(0, 1, new Uint8Array(1)), "there is consent still");
  solo.answer();
  assert.equal(solo.agent.state, "connected");
});

suite("RFC 7675 §5.1: what is no proof of consent", () => {
  const cases: Record<string, (solo: Solo) => void> = {
    "another seal": (solo) => solo.deliver(solo.answerBytes(solo.lastRequest(), PEER, "of twenty-two letters!")),
    "another source": (solo) => solo.deliver(solo.answerBytes(solo.lastRequest()), other),
    "an error": (solo) => solo.deliver(solo.errorBytes(solo.lastRequest(), 500)),
    "the peer's own check": (solo) => void solo.check(),
    data: (solo) => void solo.deliver(Uint8Array.of(0x80, 1, 2)),
  };
  for (const [name, happens] of Object.entries(cases)) {
    test(name, () => {
      const solo = new Solo().connected();
      for (let n = 0; n < 40; n++) {
        happens(solo);
        solo.run(1_000);
      }
      assert.equal(solo.agent.state, "failed");
      assert.equal(solo.all("failed")[0]?.reason.code, "consent-expired");
      assert.ok((solo.all("failed")[0]?.at ?? 0) - (solo.all("selected")[0]?.at ?? 0) === 30_000);
    });
  }
});

test("a consent check that was lost is made up for by a check half a second later", () => {
  const solo = new Solo().connected();
  const before = solo.requests.length;
  solo.run(6_500);
  const asked = solo.requests[before];
  assert.ok(asked);
  assert.equal(solo.requests[before + 1]?.at, asked.at + 500);
  solo.deliver(solo.answerBytes(solo.requests[before + 1] as typeof asked));
  solo.run(asked.at + 5_001 - solo.now);
  assert.ok(!solo.all("state").some(({ state }) => state === "disconnected"));
});

test("a silent path is replaced by another that answers", () => {
  const solo = new Solo().begin(
    candidate("198.51.100.7:2000"),
    candidate("198.51.100.9:2000", "srflx", { foundation: "s" }),
  );
  solo.answer();
  solo.run(60);
  solo.answer();
  assert.equal(solo.agent.state, "connected");
  solo.run(11_500);
  assert.equal(solo.agent.state, "disconnected");
  solo.answer(other);
  solo.run(600);
  solo.answer(other);
  assert.equal(solo.agent.state, "connected");
  assert.deepEqual(
    solo.all("selected").map(({ reason }) => reason.code),
    ["best-of-all", "replaced-lost"],
  );
  assert.equal(solo.agent.send(0, 1, new Uint8Array(1))?.remoteAddress.w3, other.w3);
  // The first one was the better, and is returned to when it answers again.
  solo.run(600);
  assert.equal(solo.pair()?.isValid, false, "it has to prove itself again");
  solo.answer();
  solo.run(100);
  solo.answer();
  assert.equal(solo.all("selected").at(-1)?.reason.code, "moved-to-better");
  assert.equal(solo.agent.send(0, 1, new Uint8Array(1))?.remoteAddress.w3, PEER.w3);
});

suite("RFC 8445 §2.5: a lite agent", () => {
  const lite = (): Solo => {
    const solo = new Solo({ isLite: true, stunServers: [other] }).begin(candidate("198.51.100.7:2000"));
    solo.check({ useCandidate: true });
    return solo;
  };
  test("gathers nothing, checks nothing, is controlled, and takes the pair that the peer nominates", () => {
    const solo = lite();
    assert.equal(solo.requests.length, 0);
    assert.equal(solo.agent.role, "controlled");
    assert.equal(solo.agent.state, "connected");
    assert.ok(solo.deliver(Uint8Array.of(0x80)));
  });
  test("RFC 8445 §7.3.1.1: keeps its role, whatever the peer claims", () => {
    const solo = new Solo({ isLite: true }).begin();
    assert.equal(solo.check({ role: "controlled" })?.view.class, MessageClass.Success);
    assert.equal(solo.agent.role, "controlled");
  });
  test("RFC 8445 §11: keeps the mapping alive by indications, and needs no consent", () => {
    const solo = lite();
    solo.run(60_000);
    const kept = solo.sent.filter(({ view }) => view.class === MessageClass.Indication);
    assert.deepEqual(
      kept.map(({ at }) => at - 1_000),
      [15_000, 30_000, 45_000, 60_000],
    );
    assert.equal(solo.agent.state, "connected");
  });
  test("RFC 8445 §6.1.1: its peer is controlling, whatever was agreed upon", () => {
    const solo = new Solo({ role: "controlled" }).gather();
    solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, isLite: true }, solo.now));
    assert.equal(solo.agent.role, "controlling");
  });
});

suite("a path that is used though nobody has nominated it", () => {
  const used = (): Solo => {
    const solo = new Solo({ role: "controlled" }).begin(candidate("198.51.100.7:2000"));
    solo.check();
    solo.run(60);
    solo.answer();
    assert.ok(solo.agent.send(0, 1, new Uint8Array(1)));
    return solo;
  };

  test("RFC 7675 §5.1: is sent to no more 30 s after the last answer", () => {
    const solo = used();
    solo.run(29_999);
    assert.ok(solo.agent.send(0, 1, new Uint8Array(1)));
    solo.run(1);
    assert.equal(solo.agent.send(0, 1, new Uint8Array(1)), undefined);
    assert.equal(solo.pair()?.failure, "consent-expired");
    solo.run(60_000);
    assert.equal(solo.agent.state, "failed");
  });

  test("RFC 7675 §5.1: is asked for consent as any other, and carries on with it", () => {
    const solo = used();
    const before = solo.requests.length;
    answering(solo, 120_000);
    assert.ok(solo.requests.length - before >= 20 && solo.requests.length - before <= 30);
    assert.ok(solo.agent.send(0, 1, new Uint8Array(1)));
    solo.check({ useCandidate: true });
    assert.equal(solo.agent.state, "connected");
    answering(solo, 60_000);
    assert.equal(solo.agent.state, "connected");
  });
});
