/**
 * Flags over environment over file over defaults. Every value that was given is judged, also one that another
 * overrides, and every mistake is told at once: nobody repairs a configuration one restart at a time.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PosternError } from "../../core/base/failure.ts";
import { defaultDataDirectory } from "../data-directory.ts";
import { checkTogether } from "./checks.ts";
import type { Config, OptionName } from "./config.ts";
import { readEnvironment } from "./environment.ts";
import type { Given, Problem } from "./given.ts";
import { fileKey, flag, optionNames } from "./names.ts";
import { options } from "./options.ts";

export interface ConfigSources {
  /** By option, as they stood on the command line; text, a boolean, or a list. */
  readonly flags: Readonly<Partial<Record<OptionName, unknown>>>;
  readonly env: NodeJS.ProcessEnv;
  /** From `--config`. */
  readonly file?: string | undefined;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read. */
  readonly file: string | undefined;
  /** Options that somebody gave. */
  readonly given: ReadonlySet<OptionName>;
}

/** The file that is read: the one that is asked for, else the first of the usual places that exists. */
export function configFile({ env, file }: ConfigSources): string | undefined {
  if (file !== undefined) return file;
  if (env.POSTERN_CONFIG) return env.POSTERN_CONFIG;
  const home = env.XDG_CONFIG_HOME || (env.HOME && join(env.HOME, ".config"));
  const usual = [...(home ? [join(home, "postern/postern.yaml")] : []), "/etc/postern/postern.yaml"];
  return usual.find((path) => existsSync(path));
}

/** Throws `PosternError` `bad-config`, with a line for every mistake, or `config-unreadable`. */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const file = configFile(sources);
  // Most starts have no file, and the parser costs 20 ms.
  const fromFile = file === undefined ? undefined : (await import("./file.ts")).readConfigFile(file);
  const fromEnvironment = readEnvironment(sources.env);
  const problems = [...(fromFile?.problems ?? []), ...fromEnvironment.problems];
  const given = [...(fromFile?.given ?? []), ...fromEnvironment.given, ...fromFlags(sources.flags)];
  const values: Partial<Record<OptionName, unknown>> = defaults(sources.env);
  const last = new Map<OptionName, Given>();
  for (const one of given) {
    last.set(one.option, one);
    const result = options[one.option].kind.type.safeParse(one.raw);
    if (result.success) values[one.option] = result.data;
    else problems.push(...result.error.issues.map((issue) => complaint(one, issue)));
  }
  const config = values as unknown as Config;
  if (problems.length === 0) {
    for (const { option, sentence } of checkTogether(config)) {
      problems.push({ where: last.get(option)?.where() ?? "default", sentence: `${fileKey(option)} ${sentence}` });
    }
  }
  if (problems.length > 0) throw new PosternError("bad-config", tell(problems));
  return { config, file, given: new Set(last.keys()) };
}

function fromFlags(flags: ConfigSources["flags"]): Given[] {
  return optionNames
    .filter((option) => flags[option] !== undefined)
    .map((option) => ({ option, raw: flags[option], where: () => flag(option) }));
}

function defaults(env: NodeJS.ProcessEnv): Partial<Record<OptionName, unknown>> {
  const values: Partial<Record<OptionName, unknown>> = {};
  for (const name of optionNames) values[name] = options[name].fallback;
  return { ...values, dataDir: defaultDataDirectory(env) };
}

function complaint(given: Given, issue: { path: readonly PropertyKey[]; message: string }): Problem {
  const item = typeof issue.path[0] === "number" ? issue.path[0] : undefined;
  const which = item === undefined ? "" : `, item ${item + 1},`;
  return { where: given.where(item), sentence: `${fileKey(given.option)}${which} ${issue.message}` };
}

function tell(problems: readonly Problem[]): string {
  const count = problems.length === 1 ? "a mistake" : `${problems.length} mistakes`;
  return [`The configuration has ${count}:`, ...problems.map((p) => `  ${p.where}: ${p.sentence}`)].join("\n");
}
