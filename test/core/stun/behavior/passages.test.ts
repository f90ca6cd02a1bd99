import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BehaviorReport } from "../../../../src/core/stun/behavior/report.ts";
import { SmallNat } from "./small-nat.ts";
import { PosternService, SmallWorld, type WorldOptions } from "./small-world.ts";

const two = () => new PosternService(["198.51.100.1", "198.51.100.2"]);
const alone = () => new PosternService(["198.51.100.9"], [3478]);

function discover(options: Partial<WorldOptions> = {}): BehaviorReport {
  return new SmallWorld({ services: [two()], nat: new SmallNat(), ...options }).discover();
}

/** Such datagrams are lost on the way to the server. */
const outward = (lost: (bytes: number) => boolean) => ({ blocks: (data: Uint8Array) => lost(data.length + 28) });
/** And such on the way back. */
const inward = (lost: (bytes: number) => boolean) => ({
  meddle: (data: Uint8Array) => (lost(data.length + 28) ? undefined : data),
});

function summary({ longestDatagram, fragments }: BehaviorReport): unknown[] {
  const longest = longestDatagram.known ? longestDatagram.value : undefined;
  return [longest?.bytes ?? (longestDatagram.known || longestDatagram.why), longest?.lost, fragments];
}

const passing = { known: true, value: true };
const losing = { known: true, value: false };

describe("RFC 5780 §3.5: which lengths pass", () => {
  test("all of them, each told", () => {
    const { passages, longestDatagram } = discover();
    assert.ok(passages.known && longestDatagram.known);
    const lengths = [1228, 1280, 1400, 1420, 1452, 1480, 1492, 1500, 2000];
    assert.deepEqual(
      passages.value,
      lengths.map((bytes) => ({ bytes, passes: "both-ways" })),
    );
    assert.deepEqual(longestDatagram.value, { bytes: 1500, passes: "both-ways", lost: undefined });
  });

  test("a tunnel that takes less, to the byte, in either direction; fragments are another matter", () => {
    for (const [room, longest, lost] of [
      [1228, 1228, 1280],
      [1419, 1400, 1420],
      [1420, 1420, 1452],
      [1491, 1480, 1492],
      [1499, 1492, 1500],
    ] as const) {
      for (const way of [outward, inward]) {
        const tooLong = (bytes: number): boolean => bytes > room && bytes <= 1500;
        assert.deepEqual(summary(discover(way(tooLong))), [longest, lost, passing], `${room} ${way.name}`);
        assert.deepEqual(summary(discover(way((bytes) => bytes > room))), [longest, lost, losing]);
      }
    }
  });

  test("fragments that are lost, in either direction, take nothing that fits", () => {
    for (const way of [outward, inward]) {
      assert.deepEqual(summary(discover(way((bytes) => bytes > 1500))), [1500, undefined, losing]);
    }
  });

  test("not even the shortest: the server may not answer such, and nothing is claimed", () => {
    const reason = { known: false, why: "no-long-answer" };
    assert.deepEqual(summary(discover(outward((bytes) => bytes > 1000))), ["no-long-answer", undefined, reason]);
  });

  test("one that is lost by chance among longer ones that pass changes nothing", () => {
    assert.deepEqual(summary(discover(outward((bytes) => bytes === 1452))), [1500, undefined, passing]);
  });

  test("RFC 5780 §7.6: a server that does not pad tells of one direction", () => {
    const { longestDatagram, fragments } = discover({ services: [alone()] });
    assert.ok(longestDatagram.known);
    assert.deepEqual(longestDatagram.value, { bytes: 1500, passes: "outward", lost: undefined });
    assert.deepEqual(fragments, passing);
  });
});
