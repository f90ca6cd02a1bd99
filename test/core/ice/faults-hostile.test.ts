/** Somebody who sees what two agents say, and sends them what he likes, from wherever he likes; but knows no password. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, formatAddress, sameAddress } from "../../../src/core/base/address.ts";
import { writeU32 } from "../../../src/core/base/bytes.ts";
import { after } from "../../../src/core/base/machine.ts";
import { fingerprint } from "../../../src/core/stun/fingerprint.ts";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { address } from "../turn/server/world.ts";
import { Call } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";
import { build, type Cell, cells } from "./grid.ts";
import { candidate, OWN, PEER, Solo, viewOf } from "./solo.ts";

const THIRD = address("203.0.113.66:6666");
/** One has a direct path, one needs the relay. */
const chosen = (["direct", "relayed"] as const).map(
  (kind) => cells().findLast(({ family, expected }) => family === "apart" && expected === kind) as Cell,
);

function isBinding(data: Uint8Array): boolean {
  return (data[0] as number) < 2 && data[1] === 1;
}

/** One to four bytes are others, and the fingerprint, which needs no password, fits again; or the end is missing. */
function mutated(data: Uint8Array, random: SeededRandom): Uint8Array {
  const bytes = data.slice();
  for (let n = random.below(4); n >= 0; n--) {
    const at = random.below(bytes.length - 8);
    bytes[at] = (bytes[at] as number) ^ (1 + random.below(255));
  }
  const end = bytes.length - 8;
  writeU32(bytes, end + 4, fingerprint(bytes, end));
  return random.below(8) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

interface Injected {
  readonly data: Uint8Array;
  readonly from: Readonly<Address>;
}

/**
 * `forge` makes of each check and answer that is sent what the other side is to hear, too, up to 60 ms later. What is sent
 * to the third address stays there: who passes on both questions and answers is a way as any other.
 */
function besiege(one: Endpoint, other: Endpoint, seed: number, forge: (data: Uint8Array) => readonly Injected[]): void {
  const random = new SeededRandom(seed);
  one.onSend = ({ data, to }) => {
    if (!isBinding(data) || sameAddress(to, THIRD)) return true;
    for (const forged of forge(data.slice())) {
      one.world.at(after(one.world.now, random.below(60)), () => {
        for (const base of [...other.sockets.keys(), ...other.allocations.keys()]) {
          other.input((agent, now) => {
            assert.equal(agent.handleDatagram(base, forged.from, forged.data, now) && forged.from === THIRD, false);
          });
        }
      });
    }
    return true;
  };
}

function remotes(one: Endpoint): string[] {
  return (one.agent.report(0)?.remote ?? []).map((told) => formatAddress(told.address)).sort();
}

/** What comes of a call while `attack` is made on both sides. */
function outcome(cell: Cell, seed: number, attack: (one: Endpoint, other: Endpoint) => void) {
  const { world, a, b } = build(cell, { seed });
  attack(a, b);
  attack(b, a);
  new Call(a, b).start();
  world.advance(5_000);
  const found = [a, b].map((one) => ({
    state: one.agent.state,
    kind: one.path()?.kind,
    remotes: remotes(one),
    pairs: one.agent.report(0)?.pairs.length,
  }));
  a.close();
  b.close();
  return found;
}

suite("checks and answers that were tampered with", () => {
  for (const cell of chosen) {
    for (const place of ["a third address", "the peer's"] as const) {
      test(`change nothing, from ${place}: ${cell.name}`, () => {
        for (let seed = 1; seed <= 10; seed++) {
          const random = new SeededRandom(seed + 1_000);
          const found = outcome(cell, seed, (one, other) =>
            besiege(one, other, seed, (data) =>
              Array.from({ length: 5 }, () => {
                const from = other.agent.report(0)?.remote[0]?.address;
                return { data: mutated(data, random), from: place === "the peer's" && from ? from : THIRD };
              }),
            ),
          );
          assert.deepEqual(
            found,
            outcome(cell, seed, () => {}),
            `seed ${seed}`,
          );
        }
      });
    }
  }
});

/**
 * Checks alone. An answer that is sealed and comes from elsewhere fails its pair (RFC 8445 §7.2.5.2.1), so that who sees
 * answers, and has them arrive from elsewhere before they do, can keep two agents apart.
 */
const again = (data: Uint8Array): Injected[] => (data[0] === 0 ? [{ data, from: THIRD }] : []);

suite("checks that are sent again from elsewhere", () => {
  for (const cell of chosen) {
    test(`do not keep two agents apart, and lead to nobody else: ${cell.name}`, () => {
      for (let seed = 1; seed <= 10; seed++) {
        const { world, a, b } = build(cell, { seed });
        besiege(a, b, seed, again);
        besiege(b, a, seed, again);
        new Call(a, b).start().talk();
        world.advance(8_000);
        for (const one of [a, b]) {
          assert.equal(one.agent.state, "connected", `seed ${seed}`);
          assert.ok(one.all("selected").every(({ path }) => path.remote.address.w3 !== THIRD.w3));
          assert.ok(
            one.received.some(({ at }) => at > world.now - 200),
            `seed ${seed}: data arrives`,
          );
          assert.ok(remotes(one).filter((text) => text === formatAddress(THIRD)).length <= 1, "once at most");
          one.close();
        }
      }
    });
  }

  test("a recorded nomination is none, and the path stays where it is", () => {
    const solo = new Solo({ role: "controlled" }).begin(candidate(formatAddress(PEER)));
    solo.answer();
    const recorded = solo.checkBytes({ useCandidate: true });
    solo.deliver(recorded);
    assert.equal(solo.agent.state, "connected");
    for (let n = 0; n < 100; n++) {
      solo.deliver(recorded, THIRD);
      solo.run(10);
    }
    assert.ok(solo.pair()?.isSelected);
    assert.equal(solo.pair(THIRD)?.isValid, false);
    assert.equal(solo.agent.report(0)?.pairs.length, 2);
    assert.equal(
      formatAddress(solo.agent.send(0, 1, new Uint8Array(9))?.remoteAddress as Address),
      formatAddress(PEER),
    );
  });

  test("what was recorded before a restart is refused after it", () => {
    const solo = new Solo().connected();
    const recorded = solo.checkBytes({ useCandidate: true });
    solo.do((agent) => agent.restart(solo.now));
    const fresh = { ufrag: "next", password: "another+password+of+theirs" };
    const candidates = [candidate(formatAddress(PEER))];
    solo.do((agent) => agent.handleRemoteDescription(0, { ...fresh, candidates }, solo.now));
    solo.deliver(recorded, THIRD);
    assert.equal(solo.pair(THIRD), undefined, "of the new list it is nothing, even while the old one is heard");
    solo.run(60);
    solo.deliver(solo.answerBytes(solo.lastRequest(), OWN, fresh.password));
    solo.run(60);
    solo.deliver(solo.answerBytes(solo.lastRequest(), OWN, fresh.password));
    assert.ok(solo.pair()?.isSelected);
    solo.run(4_000);
    const before = solo.agent.drops.unsealed;
    solo.deliver(recorded, THIRD);
    assert.equal(solo.agent.drops.unsealed, before + 1);
    assert.equal(solo.agent.report(0)?.remote.length, 1);
  });
});

suite("RFC 8489 §9.1.4: answers that nobody sealed are as if they had never been received", () => {
  type Forgery = (solo: Solo, id: Uint8Array) => Uint8Array;
  const forgeries: Record<string, Forgery> = {
    "a success": (solo, id) =>
      solo.begun(MessageClass.Success, id).xorAddress(Attribute.XorMappedAddress, THIRD).fingerprint().finish(),
    "one that is sealed with another password": (solo, id) =>
      solo.seal(
        solo.begun(MessageClass.Success, id).xorAddress(Attribute.XorMappedAddress, THIRD),
        "guessed+by+others+often",
      ),
  };
  for (const code of [400, 401, 420, 487, 500]) {
    forgeries[`a ${code}`] = (solo, id) => solo.begun(MessageClass.Error, id).errorCode(code).fingerprint().finish();
  }
  for (const [name, forge] of Object.entries(forgeries)) {
    for (const from of [PEER, THIRD]) {
      test(`${name}, from ${from === PEER ? "the peer's address" : "elsewhere"}`, () => {
        const solo = new Solo().begin(candidate(formatAddress(PEER)));
        for (let n = 0; n < 2; n++) {
          const { view } = solo.lastRequest();
          solo.deliver(forge(solo, view.data.slice(4, 20)), from);
          solo.deliver(forge(solo, viewOf(solo.checkBytes()).data.slice(4, 20)), from);
          assert.equal(solo.agent.role, "controlling");
          assert.notEqual(solo.agent.state, "connected");
          assert.equal(solo.agent.report(0)?.local.length, 1);
          solo.answer();
          solo.run(60);
        }
        assert.equal(solo.agent.state, "connected");
        const { view } = solo.run(6_000).lastRequest();
        solo.deliver(forge(solo, view.data.slice(4, 20)), from);
        solo.answer();
        solo.run(1_000);
        assert.equal(solo.agent.state, "connected", "nor do they end consent");
      });
    }
  }
});
