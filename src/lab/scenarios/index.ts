/** All that the lab tries, in the order in which it is shown. */
import type { Scenario } from "../scenario.ts";
import { figures } from "./figures.ts";
import { firewallScenarios } from "./firewalls.ts";
import { natScenarios } from "./nat.ts";

export const scenarios: readonly Scenario[] = [...figures, ...natScenarios, ...firewallScenarios];
