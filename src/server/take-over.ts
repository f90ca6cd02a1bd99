/** Which of a configuration's changes a running daemon takes over. */
import type { Config, OptionName } from "./config/config.ts";
import { optionNames } from "./config/names.ts";
import { options } from "./config/options.ts";

/** What runs from now on, and the options whose change has to wait for a restart. */
export function takeOver(running: Config, wanted: Config): { config: Config; restart: OptionName[] } {
  const text = (config: Config, name: OptionName) => JSON.stringify(config[name]) ?? "";
  const restart = optionNames.filter((name) => !options[name].reloads && text(running, name) !== text(wanted, name));
  const kept = Object.fromEntries(restart.map((name) => [name, running[name]]));
  return { config: { ...wanted, ...kept }, restart };
}
