/** A data stream: the checklist it is checked by now, and after a restart the one whose path still carries it. */

import type { Checklist } from "./checklist.ts";
import type { CandidatePair } from "./pair.ts";

export class Stream {
  readonly index: number;
  readonly components: readonly number[];
  current: Checklist | undefined;
  /** RFC 8445 §9: until the new one has a path, the old one's is used. */
  previous: Checklist | undefined;
  /** By component: where data goes now. */
  readonly routes: (CandidatePair | undefined)[] = [];

  constructor(index: number, components: readonly number[]) {
    this.index = index;
    this.components = components;
  }

  /** The checklist in use, and the one before it. */
  get checklists(): Checklist[] {
    return [this.current, this.previous].filter((list) => list !== undefined);
  }
}
