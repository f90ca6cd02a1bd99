/** Which scenarios a caller means. */
import { PosternError } from "../../core/base/failure.ts";
import type { Scenario } from "../scenario.ts";
import { scenarios } from "./index.ts";

/** The one of that name, or all whose name holds it, in capitals or not. Throws `PosternError` `lab-no-scenario`. */
function matching(name: string): readonly Scenario[] {
  const asked = name.toLowerCase();
  const holding = asked === "" ? [] : scenarios.filter((scenario) => scenario.name.toLowerCase().includes(asked));
  const exact = holding.filter((scenario) => scenario.name.toLowerCase() === asked);
  if (holding.length > 0) return exact.length > 0 ? exact : holding;
  throw new PosternError("lab-no-scenario", `There is no scenario "${name}": see postern lab --list.`);
}

/** In the lab's order; all of them when no name is given. */
export function findScenarios(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return scenarios;
  const found = new Set(names.flatMap(matching));
  return scenarios.filter((scenario) => found.has(scenario));
}
