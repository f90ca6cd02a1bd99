/** What somebody gave for an option, and where: so that a complaint leads to the place. */
import type { OptionName } from "./config.ts";

export interface Given {
  readonly option: OptionName;
  /** Text, a boolean, or a list of text. */
  readonly raw: unknown;
  /** Where it stands: `postern.yaml:12:3`, `POSTERN_REALM`, `--realm`. For an item of a list, its own place. */
  readonly where: (item?: number) => string;
}

/** Something that has to be changed before the daemon starts. */
export interface Problem {
  readonly where: string;
  /** Starts with the option's name where there is one, and says what to do. */
  readonly sentence: string;
}
