/** Paths between NATs that ordinary checks do not get through. How often there is one: `hard-nats.thorough.test.ts`. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { BaseId } from "../../../src/core/ice/base.ts";
import { natBehavior } from "../../../src/natlab/behavior.ts";
import { densest, HardCall, portRestricted, symmetric, trySeeds } from "./hard-nats.ts";
import { Solo } from "./solo.ts";

const counting = (step: number) => symmetric({ kind: "sequential", step });
/** Its ports are none that are guessed, so that everything is tried in vain. */
const hopeless = symmetric({ kind: "random" }, { portRange: { min: 512, max: 1_023 } });
const fullCone = natBehavior({ filtering: "endpoint-independent", hairpin: "none" });

test("symmetric and port-restricted: mostly direct, and the limits hold", () => {
  const { direct } = trySeeds(60);
  assert.ok(direct.length >= 57, `${direct.length} of 60`);
});

suite("nothing is probed", () => {
  const probesOf = (call: HardCall, ms = 20_000): number[] => call.run(ms).probes.map(({ length }) => length);

  test("unless asked for", () => {
    const call = new HardCall({ config: { hardNats: false } });
    assert.deepEqual(probesOf(call), [0, 0]);
    assert.equal(call.a.path()?.kind, "relayed");
    assert.deepEqual(call.a.agent.report(0)?.probing, []);
  });

  test("of a peer that has not asked for it", () => {
    assert.deepEqual(probesOf(new HardCall({ bobs: { hardNats: false } })), [0, 0]);
    const reversed = new HardCall({ a: portRestricted(), b: symmetric(), bobs: { hardNats: false } });
    assert.deepEqual(probesOf(reversed), [0, 0]);
  });

  test("where ordinary checks get through", () => {
    for (const b of [fullCone, natBehavior({ hairpin: "none" })]) {
      const call = new HardCall({ b });
      assert.deepEqual(probesOf(call), [0, 0]);
      assert.ok(call.isDirect);
    }
  });

  test("where nothing helps: both draw their ports, or one does and the other counts", () => {
    for (const b of [symmetric(), counting(1)]) assert.deepEqual(probesOf(new HardCall({ b })), [0, 0]);
  });

  test("before ordinary checks have been unanswered for two seconds", () => {
    const call = new HardCall({ a: hopeless }).run(5_000);
    for (const side of [0, 1] as const) {
      const passed = (call.probes[side][0]?.at ?? 0) - (call.checks[side][0]?.at ?? 0);
      assert.ok(passed >= 2_000 && passed < 2_500, `${passed} ms`);
    }
  });

  test("after the path that worked is gone, whether it was found by probing or not", () => {
    for (const b of [portRestricted(), fullCone]) {
      const call = new HardCall({ b });
      assert.ok(call.untilDirect());
      const before = call.run(5_000).probes.map(({ length }) => length);
      call.net.internet.change({ loss: 1 });
      assert.deepEqual(probesOf(call, 90_000), before);
    }
  });
});

suite("a direct path", () => {
  test("is found whoever is controlling, and with candidates one by one", () => {
    for (const trickle of [false, true]) {
      for (const [a, b] of [[symmetric(), portRestricted()] as const, [portRestricted(), symmetric()] as const]) {
        assert.ok(new HardCall({ a, b, trickle }).untilDirect());
      }
    }
  });

  test("takes over from the relay, which carries nothing a second later", () => {
    const call = new HardCall({});
    call.run(1_500);
    assert.equal(call.a.path()?.kind, "relayed", "meanwhile the relay carries");
    assert.ok(call.untilDirect());
    assert.equal(call.a.last("selected")?.reason.code, "moved-to-better");
    const { mediaPackets } = call.run(1_000).net.turn;
    call.run(2_000);
    assert.equal(call.net.turn.mediaPackets, mediaPackets);
    for (const one of [call.a, call.b]) assert.ok(one.received.some(({ at }) => at > call.now - 100));
    call.run(60_000);
    assert.ok(call.isDirect, "consent is given for it");
  });

  test("is found without a relay, and by agents that both think they are controlling", () => {
    const call = new HardCall({ config: { turn: [], role: "controlling" } });
    assert.ok(call.untilDirect());
    assert.notEqual(call.a.agent.role, call.b.agent.role);
  });

  test("is found by few probes where the NAT counts its ports", () => {
    for (const step of [1, 2, 3, 8]) {
      for (const [a, b] of [[counting(step), portRestricted()] as const, [portRestricted(), counting(step)] as const]) {
        const call = new HardCall({ a, b });
        assert.ok(call.untilDirect(), `step ${step}`);
        assert.ok(call.probes[0].length + call.probes[1].length <= 128, `step ${step}`);
      }
    }
  });

  test("is found where both NATs count, each in its own way", () => {
    for (const [own, peers] of [
      [1, 1],
      [3, 1],
      [2, 5],
    ] as const) {
      const call = new HardCall({ a: counting(own), b: counting(peers) });
      assert.ok(call.untilDirect(), `steps ${own} and ${peers}`);
      assert.ok(call.extraSockets(0) <= 64 && call.extraSockets(1) <= 64);
    }
  });

  test("is found in a narrow range of ports", () => {
    const narrow = symmetric({ kind: "random" }, { portRange: { min: 10_000, max: 15_999 } });
    for (let seed = 1; seed <= 20; seed++) {
      const call = new HardCall({ a: narrow, seed });
      assert.ok(call.untilDirect(), `seed ${seed}`);
      const [guess] = call.b.agent.report(0)?.probing ?? [];
      assert.ok(guess?.range && guess.range.min >= 10_000 - 2_048 && guess.range.max <= 15_999 + 2_048);
    }
  });
});

suite("what was opened is closed", () => {
  test("once there is a direct path, but for the socket of it", () => {
    const call = new HardCall({});
    assert.ok(call.untilDirect());
    assert.ok(call.a.sockets.size < 10, `${call.a.sockets.size} sockets at once`);
    const before = call.probes.map(({ length }) => length);
    call.run(4_000);
    assert.deepEqual(
      call.probes.map(({ length }) => length),
      before,
      "and nothing more is sent",
    );
    assert.deepEqual([call.a.sockets.size, call.b.sockets.size], [2, 1]);
    assert.ok(call.isDirect);
  });

  test("when everything has been tried; the call stays with the relay, and nothing more is sent", () => {
    const call = new HardCall({ a: hopeless });
    assert.equal(call.untilDirect(40_000), undefined);
    assert.deepEqual([call.a.sockets.size, call.b.sockets.size], [1, 1]);
    assert.deepEqual(
      call.probes.map(({ length }) => length),
      [256, 1_024],
    );
    assert.deepEqual([call.a.path()?.kind, call.a.agent.state], ["relayed", "connected"]);
    const [opened, guessed] = [call.a, call.b].map((one) => one.agent.report(0)?.probing[0]);
    assert.deepEqual(opened, { component: 1, part: "open", probes: 256, range: undefined, isOver: true });
    assert.deepEqual([guessed?.part, guessed?.probes, guessed?.isOver], ["guess", 1_024, true]);
  });

  test("when the agent is closed: nothing is due any more", () => {
    const call = new HardCall({ a: hopeless }).run(4_000);
    call.a.input((agent, now) => agent.close(now));
    assert.equal(call.a.agent.pollTimeout(), undefined);
    call.run(1_000);
    assert.equal(densest(call.probes[0].filter(({ at }) => at > call.now - 900)), 0);
  });
});

suite("limits", () => {
  test("no restart refills the budget", () => {
    const call = new HardCall({ a: hopeless });
    for (let n = 0; n < 8; n++) {
      call.run(40_000);
      call.call.restart();
    }
    call.run(40_000);
    const [opened, guessed] = call.probes.map(({ length }) => length) as [number, number];
    assert.equal(opened, 1_280);
    // What was guessed before may be guessed again.
    assert.ok(guessed > 1_024 && guessed <= 1_280, `${guessed}`);
    assert.ok(Math.max(...call.probes.map(densest)) <= 100);
  });

  test("RTP and RTCP apart share it", () => {
    const call = new HardCall({ a: hopeless, config: { streams: [[1, 2]] } }).run(60_000);
    assert.deepEqual(
      call.probes.map(({ length }) => length),
      [512, 1_280],
    );
    assert.ok(Math.max(...call.probes.map(densest)) <= 100);
  });

  test("where there are few descriptors, there are as many sockets", () => {
    const call = new HardCall({ a: hopeless });
    call.a.descriptors = 10;
    call.run(40_000);
    assert.equal(call.probes[0].length, 10);
    assert.equal(call.a.sockets.size, 1);
  });

  test("a stranger who finds a socket is no peer", () => {
    const call = new HardCall({ a: hopeless }).run(4_000);
    const [extra] = [...call.a.sockets].filter(([base]) => base > 2);
    const before = call.a.agent.report(0);
    const stranger = new Solo().gather();
    const check = stranger.checkBytes({ username: `${call.a.agent.credentials?.ufrag}:peer` });
    call.a.input((agent, now) => agent.handleDatagram(extra?.[0] as BaseId, call.b.candidates[0]!.address, check, now));
    const after = call.a.agent.report(0);
    assert.deepEqual([after?.local, after?.pairs.length], [before?.local, before?.pairs.length]);
    assert.equal(call.a.agent.drops.unsealed, 1);
  });
});
