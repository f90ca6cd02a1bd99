/** NATs behind NATs, in words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeLayers } from "../../src/cli/check/layers.ts";
import { parseIp } from "../../src/core/base/address.ts";
import { type BehaviorReport, known } from "../../src/core/stun/behavior/report.ts";

test("two clues of another NAT are both said, and that it is probable", () => {
  const gatewayAddress = known(parseIp("192.0.2.77")!);
  const layerEvidence = { sharedAddress: false, gatewayAddress, filterHops: known(2) };
  const report = { layers: known("probably-several"), layerEvidence, local: undefined } as unknown as BehaviorReport;
  assert.match(
    describeLayers(report) ?? "",
    /192\.0\.2\.77 is not the one seen, and the outermost is 2 hops away: .* probably/,
  );
});
