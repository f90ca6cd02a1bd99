/**
 * A real daemon that gets three times what it can take, a minute of each kind: packets on channels, allocations, Bindings,
 * and Allocates without credentials. The benchmark makes the storms (`npm run bench -- overload`), here at the lowest
 * priority, because tests of real time run beside it.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, suite, test } from "node:test";
import type { OverloadResult } from "../../bench/overload/storms.ts";
import { runChild } from "../support/child.ts";
import { requireForeign, requirePeer, requirePrivilege, requireStress } from "../support/peers.ts";

const seconds = 60;
const skip = requireStress(6) || requireForeign() || requirePeer("gcc") || requirePrivilege("net-admin");

suite("three times what the server can take", { skip }, () => {
  let results: readonly OverloadResult[] = [];

  before(async () => {
    const storms = [process.execPath, "bench/main.ts", "overload", "--quick", "--seconds", `${seconds}`];
    const output = await runChild(["nice", "-n", "19", ...storms], { within: 15 * 60_000 });
    const file = /All runs: (\S+)/.exec(output)?.[1] ?? assert.fail(output);
    results = (JSON.parse(await readFile(file, "utf8")) as { results: OverloadResult[] }).results;
  });

  test("of sessions' refreshes, 999 in 1,000 succeed", () => {
    assert.equal(results.length, 4);
    for (const { storm, refreshes } of results) {
      assert.ok(refreshes.refreshes >= 1000 * Math.floor(seconds / 10), `${refreshes.refreshes} refreshes (${storm})`);
      assert.ok(refreshes.succeeded / refreshes.refreshes >= 0.999, `${refreshes.failed} failed (${storm})`);
    }
  });

  test("new allocations are refused meanwhile with 486 or 508 and nothing else, and a second later none is", () => {
    for (const { storm, newcomers, afterwards } of results) {
      assert.equal(newcomers.refused, 0, storm);
      assert.equal(afterwards.shed + afterwards.refused, 0, storm);
      assert.ok(afterwards.granted > 0, storm);
    }
    assert.ok(results.some(({ newcomers }) => newcomers.shed > 0));
  });
});
