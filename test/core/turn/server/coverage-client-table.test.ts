import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, hashAddress, ipv4 } from "../../../../src/core/base/address.ts";
import type { Allocation } from "../../../../src/core/turn/server/allocation.ts";
import type { ClientPath } from "../../../../src/core/turn/server/client-path.ts";
import { ClientTable } from "../../../../src/core/turn/server/client-table.ts";
import { SeededRandom } from "../../../support/crypto.ts";
import { tcpPath, udpPath } from "../../../support/turn-world.ts";

const SEED = 7;

/** Only its path matters to the table. */
function at(path: ClientPath): Allocation {
  return { path, next: undefined } as Allocation;
}

/** Paths of different clients whose hashes are the same: among 300,000 random ones there are some ten pairs. */
function colliding(): [ClientPath, ClientPath] {
  const random = new SeededRandom(1);
  const seen = new Map<number, Address>();
  for (let tries = 0; tries < 300_000; tries++) {
    const remote = ipv4(random.u32(), random.below(65_536));
    const hash = hashAddress(remote, SEED);
    const other = seen.get(hash);
    if (other !== undefined)
      return [other, remote].map((from) => ({ ...udpPath(), remote: from })) as [ClientPath, ClientPath];
    seen.set(hash, remote);
  }
  throw new Error("no two of them collide");
}

test("clients whose hashes collide are told apart, in whatever order they come and go", () => {
  const [pathA, pathB] = colliding();
  for (const first of ["a", "b"] as const) {
    const table = new ClientTable(SEED);
    const [a, b] = [at(pathA), at(pathB)];
    table.add(a);
    table.add(b);
    assert.equal(table.find(pathA), a);
    assert.equal(table.find({ ...pathB }), b);
    assert.deepEqual(new Set(table.all()), new Set([a, b]));
    const [gone, kept] = first === "a" ? [a, b] : [b, a];
    table.remove(gone);
    table.remove(gone);
    assert.equal(table.find(gone.path), undefined);
    assert.equal(table.find(kept.path), kept);
    assert.deepEqual(table.all(), [kept]);
    table.remove(kept);
    assert.deepEqual(table.all(), []);
  }
});

test("RFC 8656 §3.2: a 5-tuple is the client's address and port, the listener, and the connection of a stream", () => {
  const table = new ClientTable(SEED);
  const paths = [
    udpPath(),
    udpPath("8.8.4.4", 40_001),
    udpPath("8.8.4.5"),
    tcpPath(1),
    tcpPath(2),
    { ...udpPath(), listener: 9 },
  ];
  const all = paths.map(at);
  for (const allocation of all) table.add(allocation);
  for (const [i, path] of paths.entries()) assert.equal(table.find(path), all[i]);
  assert.equal(table.find(tcpPath(3)), undefined);
});

test("thousands come and go, and whoever is there is found", () => {
  const table = new ClientTable(SEED);
  const random = new SeededRandom(2);
  const there = new Set<Allocation>();
  for (let n = 0; n < 5_000; n++) {
    const allocation = at({ ...udpPath(), remote: ipv4(0x0a000000 + n, 1 + (n % 65_535)) });
    table.add(allocation);
    there.add(allocation);
    const [oldest] = there;
    if (oldest === undefined || random.below(3) > 0) continue;
    table.remove(oldest);
    there.delete(oldest);
    assert.equal(table.find(oldest.path), undefined);
  }
  for (const allocation of there) assert.equal(table.find({ ...allocation.path }), allocation);
  assert.deepEqual(new Set(table.all()), there);
});
