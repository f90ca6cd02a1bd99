import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type RunOptions, runAll, trialsOf } from "../../src/lab/run-all.ts";
import type { Scenario } from "../../src/lab/scenario.ts";
import { main } from "../support/daemon.ts";
import { until } from "../support/until.ts";
import { skip } from "./lab-world.ts";

/** Its network has nobody in it. */
function scenario(name: string, run: Scenario["run"], measures = false): Scenario {
  return { name, title: name, topology: { outside: [], sites: [] }, expected: "works", measures, run };
}

const options: RunOptions = { postern: [process.execPath, main], atOnce: 3 };
const works = { outcome: "works", why: "it does" } as const;

describe("many scenarios", { skip }, () => {
  test("run so many at once and no more, and those that measure alone; the results are in order", async () => {
    const running = new Set<string>();
    const seen: Record<string, number> = {};
    const gate = Promise.withResolvers<void>();
    const together = (name: string) =>
      scenario(name, async () => {
        running.add(name);
        if (running.size === 3) gate.resolve();
        await gate.promise;
        seen[name] = running.size;
        running.delete(name);
        return works;
      });
    const alone = scenario(
      "alone",
      async () => {
        seen["alone"] = running.size;
        return works;
      },
      true,
    );
    const all = [together("a"), together("b"), alone, together("c"), together("d")];
    const results = await runAll(trialsOf(all, [0]), options);
    assert.deepEqual(
      results.map(({ scenario: { name } }) => name),
      ["a", "b", "alone", "c", "d"],
    );
    assert.equal(seen["alone"], 0);
    assert.equal(Math.max(...Object.values(seen)), 3);
  });

  test("go on when one is broken", async () => {
    const broken = scenario("broken", () => Promise.reject(new Error("no legs")));
    const results = await runAll(trialsOf([broken, scenario("other", async () => works)], [0]), options);
    assert.deepEqual(
      results.map(({ outcome, passed }) => [outcome, passed]),
      [
        ["broken", false],
        ["works", true],
      ],
    );
  });

  test("end at once when they are told to, whatever they wait for, and no other begins", async () => {
    const end = new AbortController();
    const begun: string[] = [];
    const waits = (name: string) =>
      scenario(name, async (lab) => {
        begun.push(name);
        await lab.wait(600_000);
        return works;
      });
    const all = trialsOf(["a", "b"].map(waits), [0]);
    const running = runAll(all, { ...options, atOnce: 1, signal: end.signal });
    await until("the first to run", () => begun.length === 1);
    end.abort(new Error("enough"));
    await assert.rejects(running, /enough/);
    assert.deepEqual(begun, ["a"]);
  });
});
