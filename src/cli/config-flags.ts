/** Flags from the schema: every command takes every option, and shows those that matter to it. */
import { type Command, Option } from "commander";
import type { OptionName } from "../server/config/config.ts";
import type { Kind } from "../server/config/kinds.ts";
import { type ConfigSources, type LoadedConfig, loadConfig } from "../server/config/load.ts";
import { flag, optionNames } from "../server/config/names.ts";
import { options } from "../server/config/options.ts";

const collect = (value: string, before: readonly string[] | undefined) => [...(before ?? []), value];

function toFlag(name: OptionName): Option {
  const { kind, description, group } = options[name];
  const { form, isList, isSwitch } = kind as Kind<unknown>;
  const argument = isSwitch === true ? `[${form}]` : `<${form}>`;
  const [summary = ""] = description.split(/(?<=\.)\s/);
  const option = new Option(`${flag(name)} ${argument}`, summary).helpGroup(`${group}:`);
  return isList === true ? option.argParser(collect) : option;
}

/** Adds `--config` and all options; help lists `shown`, or all of them. */
export function addConfigFlags(command: Command, shown: readonly OptionName[] = optionNames): Command {
  command.option("-c, --config <FILE>", "read options from this YAML file");
  for (const name of optionNames) command.addOption(toFlag(name).hideHelp(!shown.includes(name)));
  return command;
}

/** What commander parsed from the flags of `addConfigFlags`. */
export type ConfigFlags = ConfigSources["flags"] & { readonly config?: string };

/** Rejects with the `PosternError` of `loadConfig`. */
export function loadFromFlags({ config: file, ...flags }: ConfigFlags): Promise<LoadedConfig> {
  return loadConfig({ flags, env: process.env, file });
}
