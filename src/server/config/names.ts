/** One option, three spellings. */
import type { OptionName } from "./config.ts";
import { options } from "./options.ts";

export const optionNames: readonly OptionName[] = Object.keys(options) as OptionName[];

/** As in the file: `relay-ports`. */
export function fileKey(name: OptionName): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** As in the environment: `POSTERN_RELAY_PORTS`. */
export function variable(name: OptionName): string {
  return `POSTERN_${fileKey(name).replaceAll("-", "_").toUpperCase()}`;
}

/** As a flag: `--relay-ports`. */
export function flag(name: OptionName): string {
  return `--${fileKey(name)}`;
}
