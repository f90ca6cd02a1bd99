/** Which outside port a new mapping gets (RFC 4787 §4.2). */
import type { NatBehavior } from "../behavior.ts";
import type { SeededRandom } from "../seeded-random.ts";

export class PortChoice {
  readonly #behavior: NatBehavior;
  readonly #random: SeededRandom;
  #last: number | undefined;

  constructor(behavior: NatBehavior, random: SeededRandom) {
    this.#behavior = behavior;
    this.#random = random;
  }

  /** A port for a mapping of `insidePort`; undefined when none is free. */
  choose(insidePort: number, isFree: (port: number) => boolean): number | undefined {
    const { ports, portRange } = this.#behavior;
    const fits = (port: number): boolean => this.#keepsParity(port, insidePort) && isFree(port);
    switch (ports.kind) {
      case "overloading":
        return insidePort;
      case "preservation":
        return isFree(insidePort) ? insidePort : this.#search(insidePort + 1, 1, fits);
      case "random":
        return this.#search(portRange.min + this.#random.below(this.#size()), 1, fits);
      case "sequential": {
        const start = this.#last === undefined ? portRange.min : this.#last + ports.step;
        const found = this.#search(start, ports.step, fits) ?? this.#search(start, 1, fits);
        this.#last = found ?? this.#last;
        return found;
      }
    }
  }

  reset(): void {
    this.#last = undefined;
  }

  #size(): number {
    return this.#behavior.portRange.max - this.#behavior.portRange.min + 1;
  }

  /** The first port that fits of `start`, `start + step` …, around the range once. */
  #search(start: number, step: number, fits: (port: number) => boolean): number | undefined {
    const { min } = this.#behavior.portRange;
    const size = this.#size();
    for (let n = 0; n < size; n++) {
      const port = min + ((((start - min + n * step) % size) + size) % size);
      if (fits(port)) return port;
    }
    return undefined;
  }

  // RFC 4787 REQ-4: an even port is mapped to an even one, an odd to an odd.
  #keepsParity(port: number, insidePort: number): boolean {
    return !this.#behavior.parity || port % 2 === insidePort % 2;
  }
}
