/** What the program `link` is told: where it stands, how long frames wait, and which packets it meddles with. */
import type { Rewriting } from "./rewriting.ts";

export interface LinkOrder {
  readonly address: string;
  /** Milliseconds. */
  readonly delay: number;
  readonly rewritings: readonly Rewriting[];
}
