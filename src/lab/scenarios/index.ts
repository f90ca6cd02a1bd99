/** All that the lab tries, in the order in which it is shown. */
import type { Scenario } from "../scenario.ts";
import { doubleNatScenario } from "./double-nat.ts";
import { figures } from "./figures.ts";
import { firewallScenarios } from "./firewalls.ts";
import { iceScenarios } from "./ice.ts";
import { iceGrid } from "./ice-grid.ts";
import { idleScenario } from "./idle-mapping.ts";
import { natScenarios } from "./nat.ts";
import { rewritingScenario } from "./payload-rewriting.ts";
import { relayScenarios } from "./relay-delay.ts";
import { thirdPartyScenarios } from "./third-party.ts";

export const scenarios: readonly Scenario[] = [
  ...figures,
  ...natScenarios,
  doubleNatScenario(),
  idleScenario(),
  rewritingScenario(),
  ...firewallScenarios,
  ...relayScenarios,
  ...thirdPartyScenarios,
  ...iceScenarios,
  iceGrid,
];
