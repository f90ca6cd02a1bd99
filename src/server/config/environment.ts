/** Options from the environment. */
import type { OptionName } from "./config.ts";
import type { Given, Problem } from "./given.ts";
import { optionNames, variable } from "./names.ts";
import { nearest } from "./nearest.ts";

const prefix = "POSTERN_";

/** Read by something else than this table. */
const reserved = ["POSTERN_CONFIG"];

/**
 * Reads every `POSTERN_` variable. A name that is nearly an option is a mistake; others are left alone, because
 * Kubernetes sets `POSTERN_PORT` and the like for a service called postern. An empty variable counts as not set.
 */
export function readEnvironment(env: NodeJS.ProcessEnv): { given: Given[]; problems: Problem[] } {
  const byVariable = new Map<string, OptionName>(optionNames.map((name) => [variable(name), name]));
  const given: Given[] = [];
  const problems: Problem[] = [];
  for (const [name, raw] of Object.entries(env)) {
    if (!name.startsWith(prefix) || raw === undefined || raw === "" || reserved.includes(name)) continue;
    const option = byVariable.get(name);
    if (option !== undefined) given.push({ option, raw, where: () => name });
    else {
      const meant = nearest(name, [...byVariable.keys(), ...reserved], 2);
      if (meant !== undefined) problems.push({ where: name, sentence: `no such option; did you mean ${meant}?` });
    }
  }
  return { given, problems };
}
