/** The effective configuration as a file that could be given back, but for its secrets. */
import { stringify } from "yaml";
import type { Config, OptionName } from "./config.ts";
import type { Kind } from "./kinds.ts";
import { fileKey, optionNames } from "./names.ts";
import { options } from "./options.ts";

/** YAML, every option; those that are not set are comments. */
export function printConfig(config: Config): string {
  return optionNames.map((name) => line(name, config[name])).join("");
}

function line(name: OptionName, value: unknown): string {
  const { kind, fallbackText } = options[name];
  const written = (kind as Kind<unknown>).format(value);
  if (written === "" || (Array.isArray(written) && written.length === 0 && fallbackText !== undefined)) {
    return `# ${fileKey(name)}: ${fallbackText?.replaceAll("`", "")}\n`;
  }
  const plain = typeof written === "string" && /^\d+$/.test(written) ? Number(written) : written;
  return stringify({ [fileKey(name)]: plain }, { lineWidth: 0 });
}
