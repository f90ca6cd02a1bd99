/** Who does what about hard NATs, and which ports are guessed: from candidates alone. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import type { Candidate } from "../../../src/core/ice/candidate.ts";
import { guesses, rangeOf } from "../../../src/core/ice/hard-nat/guesses.ts";
import { type Plan, planFor } from "../../../src/core/ice/hard-nat/plan.ts";
import { mayBePublic } from "../../../src/core/ice/hard-nat/public-address.ts";
import { type Translation, translationOf } from "../../../src/core/ice/hard-nat/translation.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { address } from "../turn/server/world.ts";
import { candidate } from "./solo.ts";

/** A socket that servers have seen at these ports, one after the other. */
function reflexive(ports: readonly number[], ip = "198.51.100.7", socket = "10.0.0.2:5000"): Candidate[] {
  return ports.map((port, n) =>
    candidate(`${ip}:${port}`, "srflx", { related: address(socket), priority: 1_000_000 - n }),
  );
}

function seen(ports: readonly number[], ip?: string): Translation {
  const found = translationOf(reflexive(ports, ip), 1);
  assert.ok(found);
  return found;
}

const random = new SeededRandom(1);
const [own, peer] = ["203.0.113.5", "198.51.100.7"];

suite("how a NAT assigns ports", () => {
  test("one port for all servers is no mapping by destination, several are", () => {
    assert.deepEqual([seen([7000]).isByDestination, seen([7000, 9000]).isByDestination], [false, true]);
  });

  test("ports that follow each other are counted, up or down, in whatever steps", () => {
    const steps: readonly (readonly [readonly number[], number | undefined])[] = [
      [[7000], undefined],
      [[7000, 7001], 1],
      [[7000, 6998, 6995], -2],
      [[7000, 7016], 16],
      [[7000, 7017], undefined],
      [[7000, 7001, 7000 - 1], undefined],
      [[7000, 7001, 9000], undefined],
    ];
    for (const [ports, step] of steps) assert.equal(seen(ports).step, step, `${ports}`);
  });

  test("the order is that of the servers, whatever the order of the candidates", () => {
    assert.deepEqual(translationOf(reflexive([7001, 7002, 7003]).reverse(), 1)?.ports, [7001, 7002, 7003]);
  });

  test("the best candidate's socket counts, and no other", () => {
    const others = reflexive([8000, 8001], peer, "10.0.0.3:5000").map((one) => ({ ...one, priority: 5 }));
    const found = translationOf([...others, ...reflexive([7000])], 1);
    assert.deepEqual([found?.ports, formatAddress(found!.socket)], [[7000], "10.0.0.2:5000"]);
  });

  test("nothing is known from other kinds of candidates, other components, or where the socket is hidden", () => {
    assert.equal(
      translationOf([candidate("198.51.100.7:7000", "host"), candidate("198.51.100.7:1", "relay")], 1),
      undefined,
    );
    assert.equal(translationOf(reflexive([7000]), 2), undefined);
    assert.equal(translationOf(reflexive([7000], peer, "0.0.0.0:0"), 1), undefined);
  });
});

test("private, local, shared and multicast addresses are never probed, nor those of IPv6", () => {
  const never = ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "0.0.0.0"];
  for (const ip of [...never, "224.0.0.1", "255.255.255.255"]) {
    assert.equal(mayBePublic(address(`${ip}:7000`)), false, ip);
    assert.equal(translationOf(reflexive([7000, 9000], ip), 1), undefined, ip);
  }
  assert.equal(mayBePublic(address("[2001:db8::1]:7000")), false);
  for (const ip of ["9.255.255.255", "11.0.0.0", "172.32.0.1", "100.128.0.0", "223.255.255.255"]) {
    assert.equal(mayBePublic(address(`${ip}:7000`)), true, ip);
  }
});

suite("who does what", () => {
  const partOf = (plan: Plan | undefined): string => {
    if (plan === undefined) return "nothing";
    return plan.part === "open" ? `open ${plan.sockets} to ${formatAddress(plan.to)}` : `guess at ${plan.ip.port}`;
  };
  const between = (a: readonly number[], b: readonly number[], ip = own): string =>
    partOf(planFor(seen(a, ip), seen(b), random));

  test("who is behind the NAT that maps by destination opens, the other guesses", () => {
    assert.equal(between([7000, 9000], [6000]), "open 256 to 198.51.100.7:6000");
    assert.equal(between([6000], [7000, 30_000]), "guess at 7000");
  });

  test("where both map by destination they meet at the ports that come next, if both count", () => {
    assert.equal(between([7000, 7001], [6000, 6002]), "open 64 to 198.51.100.7:6042");
    assert.equal(between([7000, 9000], [6000, 6001]), "nothing");
    assert.equal(between([7000, 7001], [6000, 9000]), "nothing");
  });

  test("nothing is done where neither maps by destination, nor behind one NAT", () => {
    assert.equal(between([7000], [6000]), "nothing");
    assert.equal(between([7000, 9000], [6000], peer), "nothing");
  });
});

suite("guesses", () => {
  const first = (ports: readonly number[], count: number): number[] => {
    const of = seen(ports);
    const guessed = guesses(of, rangeOf(of), random);
    return Array.from({ length: count }, () => guessed.next().value as number);
  };

  test("are in the range, differ, and none was seen before", () => {
    for (const ports of [
      [7000, 30_000],
      [65_535, 65_000],
      [1_024, 1_030],
      [1, 3],
    ] as const) {
      const guessed = first(ports, 1_024);
      assert.equal(new Set([...guessed, ...ports]).size, 1_026, `${ports}`);
      assert.ok(
        guessed.every((port) => port >= 1_024 && port <= 65_535),
        `${ports}`,
      );
    }
  });

  test("are drawn from all ports, but where those seen lie together from around them", () => {
    assert.deepEqual(rangeOf(seen([7000, 30_000])), { min: 1_024, max: 65_535 });
    assert.deepEqual(rangeOf(seen([12_000, 15_000])), { min: 9_952, max: 17_048 });
    assert.deepEqual(rangeOf(seen([65_000, 60_000])), { min: 57_952, max: 65_535 });
    const guessed = first([12_000, 15_000], 1_024);
    assert.ok(guessed.every((port) => port >= 9_952 && port <= 17_048));
    assert.ok(Math.min(...guessed) < 10_100 && Math.max(...guessed) > 16_900, "from all of it");
  });

  test("begin with the 64 ports that follow, where ports are counted, around the end of the range", () => {
    assert.deepEqual(
      first([7000, 7002], 64),
      Array.from({ length: 64 }, (_, n) => 7_004 + 2 * n),
    );
    assert.deepEqual(first([65_533, 65_534], 3), [65_535, 1_024, 1_025]);
    assert.deepEqual(first([1_026, 1_025], 3), [1_024, 65_535, 65_534]);
  });

  test("end when nothing is left", () => {
    const all = [...guesses(seen([2_003, 20_000]), { min: 2_000, max: 2_009 }, random)];
    assert.deepEqual(
      all.sort((a, b) => a - b),
      [2_000, 2_001, 2_002, 2_004, 2_005, 2_006, 2_007, 2_008, 2_009],
    );
  });
});
