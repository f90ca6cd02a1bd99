/** Calls with ICE through real kernels: the path is the best that the networks allow, and the relay idle where it can be. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findScenarios } from "../../src/lab/scenarios/find.ts";
import { type IceTrial, iceScenario, iceTrials } from "../../src/lab/scenarios/ice.ts";
import { atOnce, milliseconds, runHere, skip } from "./lab-world.ts";

/** Where nothing is wrong the choice says so; where something is, what. */
const reasons: Readonly<Record<IceTrial["best"], RegExp>> = {
  direct: /^(best-of-all|better-failed|better-unanswered|moved-to-better)$/,
  relayed: /^(better-failed|better-unanswered|moved-to-better)$/,
  none: /^(own|peer)-nat-maps-by-destination$/,
};

describe("calls with ICE", { skip, concurrency: atOnce }, () => {
  for (const roundTrip of [0, 50]) {
    for (const trial of iceTrials) {
      test(`${trial.name}: ${trial.best} at ${roundTrip} ms`, async () => {
        const { passed, why, figures = {}, ...result } = await runHere(iceScenario(trial), roundTrip);
        assert.ok(passed, why);
        assert.equal(figures["path"], trial.best);
        assert.match(figures["reason"] ?? "", reasons[trial.best]);
        if (trial.best === "none") return assert.match(why, /TURN server/);
        assert.match(why, /: (direct|relayed), [\d.]+:\d+ to [\d.]+:\d+, because \([a-z-]+\) [A-Z].*\. The relay/);
        assert.equal(Number(figures["packets through the relay"]) > 0, trial.best === "relayed");
        const took = milliseconds({ ...result, passed, why, figures }, "until connected");
        assert.ok(took > 0 && took < 5_000, why);
      });
    }
  }

  test("a call goes on from another address", async () => {
    const [scenario] = findScenarios(["ICE, another address"]);
    const result = await runHere(scenario!);
    assert.ok(result.passed, result.why);
    assert.equal(result.figures?.["reason"], "replaced-lost");
  });

  test("a path that is worse than the networks allow is a failure", async () => {
    const relayed = iceTrials.find(({ best }) => best === "relayed");
    const result = await runHere(iceScenario({ ...relayed!, best: "direct" }));
    assert.equal(result.passed, false);
    assert.match(result.why, /relayed, .* The relay carried \d+ packets/);
  });
});
