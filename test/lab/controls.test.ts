/** Worlds that are not what a scenario says they are: each scenario must tell. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Scenario } from "../../src/lab/scenario.ts";
import { doubleNatScenario } from "../../src/lab/scenarios/double-nat.ts";
import { figure3 } from "../../src/lab/scenarios/figures.ts";
import { firewallScenario, trials } from "../../src/lab/scenarios/firewalls.ts";
import { idleScenario } from "../../src/lab/scenarios/idle-mapping.ts";
import { natScenario } from "../../src/lab/scenarios/nat.ts";
import { rewritingScenario } from "../../src/lab/scenarios/payload-rewriting.ts";
import { atOnce, runHere, skip } from "./lab-world.ts";

const firewallTrials = new Map(trials.map((trial) => [trial.firewall, trial]));

const broken: readonly (readonly [string, Scenario, RegExp])[] = [
  ["figure 3 behind a symmetric NAT", figure3("symmetric, random"), /alice hears 0 of 20, bob hears 20/],
  ["a full cone that is none", natScenario("full cone", "port-restricted cone"), /filtering is endpoint-independent/],
  ["one NAT where there should be two", doubleNatScenario([{ nat: "port-restricted cone" }]), /NATs: (?!.*several)/],
  ["a router that rewrites nothing", rewritingScenario(false), /nothing is rewritten/],
  ["keepalives that come too late", idleScenario(60_000), /kept alive does not ring/],
  [
    "a firewall that blocks no UDP",
    firewallScenario(firewallTrials.get("UDP blocked")!, "inside to outside"),
    /^UDP: 10 of 10 echoed/,
  ],
  [
    "a way that is shut only because nobody listens there",
    firewallScenario({
      ...firewallTrials.get("UDP blocked")!,
      attempts: [{ way: "TCP on port 81", url: "turn:203.0.113.1:81?transport=tcp", passes: false }],
    }),
    /^TCP on port 81: .*ECONNREFUSED/,
  ],
  [
    "a firewall that blocks more than is thought",
    firewallScenario(firewallTrials.get("UDP blocked")!, "only the proxy"),
    /TCP: shut/,
  ],
];

describe("what a scenario does not stand for fails", { skip, concurrency: atOnce }, () => {
  for (const [title, scenario, why] of broken) {
    test(title, async () => {
      const result = await runHere(scenario);
      assert.equal(result.outcome, "fails", result.why);
      assert.equal(result.passed, false);
      assert.match(result.why, why);
    });
  }

  test("an experiment that does not come to its end is broken, and not a failure that was expected", async () => {
    const run = () => Promise.reject(new Error("the server has no legs"));
    const result = await runHere({ ...figure3(), expected: "fails", run });
    assert.equal(result.outcome, "broken");
    assert.equal(result.passed, false);
    assert.equal(result.why, "the server has no legs");
  });
});
