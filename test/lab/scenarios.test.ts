/** Every scenario of the lab, through real kernels; those that delay could change, at 50 and 150 ms too. ICE's: `ice.test.ts`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Result } from "../../src/lab/scenario.ts";
import { findScenarios } from "../../src/lab/scenarios/find.ts";
import { iceScenarios } from "../../src/lab/scenarios/ice.ts";
import { scenarios } from "../../src/lab/scenarios/index.ts";
import { atOnce, milliseconds, runHere, skip } from "./lab-world.ts";

function assertPassed({ passed, outcome, why, scenario: { expected } }: Result): void {
  assert.ok(passed, `${outcome} and not ${expected}: ${why}`);
}

describe("the lab's scenarios", { skip, concurrency: atOnce }, () => {
  for (const scenario of scenarios.filter((one) => !iceScenarios.includes(one))) {
    test(`${scenario.name} ${scenario.expected}`, async () => {
      const result = await runHere(scenario);
      assertPassed(result);
      assert.ok(result.passages.size > 0);
    });
  }

  for (const roundTrip of [50, 150]) {
    for (const scenario of findScenarios(["figure 3", "figure 5", "firewall: only the proxy"])) {
      test(`${scenario.name} ${scenario.expected} at ${roundTrip} ms`, async () => {
        assertPassed(await runHere(scenario, roundTrip));
      });
    }

    test(`at ${roundTrip} ms an echo takes that long, and the way by the relay twice as long`, async () => {
      const [scenario] = findScenarios(["relay's delay"]);
      const result = await runHere(scenario!, roundTrip);
      assertPassed(result);
      const [direct, relayed] = [milliseconds(result, "direct"), milliseconds(result, "relayed")];
      assert.ok(direct >= roundTrip && relayed >= 2 * roundTrip, `${direct} ms, ${relayed} ms`);
    });
  }
});
