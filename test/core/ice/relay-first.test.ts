/** Relay first, by option: data over the relay at once, and over the direct path as soon as there is one. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, formatIp } from "../../../src/core/base/address.ts";
import { Call } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";
import { build, type Cell, cells, run } from "./grid.ts";

/** When this side sends over the direct path. */
function movedAt(one: Endpoint): number {
  const last = one.sent.findLast(({ kind }) => kind === "relayed")?.at ?? Number.NEGATIVE_INFINITY;
  return one.sent.find(({ at, kind }) => kind === "direct" && at > last)?.at ?? Number.POSITIVE_INFINITY;
}

function isServer(address: Readonly<Address>): boolean {
  const ip = formatIp(address);
  return ip.startsWith("9.9.9.") || ip.startsWith("2a09:");
}

/** Direct checks get through from `opens` on. Returns whether the relay has carried data. */
function check(cell: Cell, trickle: boolean, opens: number): boolean {
  const { world, turn, a, b } = build(cell, { config: { relayFirst: true } });
  for (const one of [a, b])
    one.onSend = ({ base, to }) => world.now >= opens || one.allocations.has(base) || isServer(to);
  new Call(a, b, { trickle }).start().talk();
  const carried: number[] = [];
  for (let n = 0; n < 700; n++) {
    world.advance(10);
    carried.push(turn.mediaPackets);
  }
  const what = `${cell.name}, ${cell.family}${trickle ? ", one by one" : ""}`;
  const moved = Math.max(movedAt(a), movedAt(b));
  assert.ok(moved < 5_000, `${what}: both have moved at ${moved}`);
  assert.equal(carried[Math.ceil((moved + 1_000) / 10)], carried.at(-1), `${what}: nothing over the relay`);
  for (const one of [a, b]) {
    assert.equal(one.path()?.kind, "direct");
    assert.ok(one.received.filter(({ at }) => at > world.now - 1_000).length > 40, `${what}: and all arrives`);
    one.close();
  }
  return turn.mediaPackets > 0;
}

suite("relay first: where there is a direct path, the relay carries nothing later than a second after the move", () => {
  for (const family of ["apart", "hairpin", "one LAN", "in a row", "IPv6"] as const) {
    for (const trickle of [false, true]) {
      if (trickle && family === "in a row") continue;
      test(`${family}${trickle ? ", candidates one by one" : ""}`, () => {
        for (const cell of cells()) {
          if (cell.family !== family || cell.expected !== "direct") continue;
          check(cell, trickle, 0);
          assert.ok(check(cell, trickle, 1_500), `${cell.name}: the relay helps out`);
        }
      });
    }
  }
});

test("relay first: data goes as soon as a check through the relay is answered, and not when it is nominated", () => {
  for (const cell of cells()) {
    if (cell.family !== "apart" || cell.expected !== "relayed") continue;
    const [first, last] = [run(cell, { config: { relayFirst: true } }), run(cell)];
    assert.ok((first.usable as number) <= 200, `${cell.name}: ${first.usable}`);
    assert.ok((first.usable as number) < (last.usable as number), cell.name);
    assert.equal(first.found, "relayed");
  }
});

test("unless it is asked for, no data passes a relay before its nomination", () => {
  for (const cell of cells()) {
    if (cell.family !== "apart") continue;
    const { world, a, b } = build(cell);
    new Call(a, b).start().talk();
    world.advance(3_000);
    for (const one of [a, b]) {
      const selected = one.all("selected").find(({ path }) => path.kind === "relayed")?.at ?? Number.POSITIVE_INFINITY;
      assert.ok(one.sent.every(({ kind, at }) => kind === "direct" || at >= selected));
      one.close();
    }
  }
});
