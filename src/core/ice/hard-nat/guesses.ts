/** The ports of the peer's NAT that are worth a probe: those that come next, if it counts; then by chance, each once. */
import type { Random } from "../../base/ports.ts";
import { randomBelow } from "../../base/random.ts";
import type { Translation } from "./translation.ts";

/** RFC 6056 §3.2: ports below are not given out for the connections of clients. */
const LEAST = 1_024;
const GREATEST = 65_535;
/** How many are predicted. Between them and the ports that were seen lie those of checks, and of other programs. */
export const PREDICTED = 64;
/** Ports that were all seen within so many are taken for those of a NAT, or of a subscriber, that has no others. */
const NARROW = 8_192;
const MARGIN = 2_048;

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

/**
 * Where a NAT draws from all ports this loses nothing by being wrong: of equally many guesses equally many hit, wherever
 * they lie.
 */
export function rangeOf({ ports }: Translation): PortRange {
  const [min, max] = [Math.min(...ports), Math.max(...ports)];
  if (max - min > NARROW) return { min: LEAST, max: GREATEST };
  return { min: Math.max(LEAST, min - MARGIN), max: Math.min(GREATEST, max + MARGIN) };
}

/** The port that follows `n` others after the last one seen; around the end of the range once it is reached. */
export function predictedPort({ ports, step = 1 }: Translation, n: number): number {
  const size = GREATEST - LEAST + 1;
  const port = (ports.at(-1) as number) + n * step;
  return LEAST + ((((port - LEAST) % size) + size) % size);
}

/** Each port of the range once, and before them those that are predicted. */
export function* guesses(of: Translation, range: PortRange, random: Random): Generator<number, void> {
  // Those that are seen lead back to servers, and were checked.
  const known = new Set(of.ports);
  const isNew = (port: number): boolean => {
    const { size } = known;
    return known.add(port).size > size;
  };
  if (of.step !== undefined) {
    for (let n = 1; n <= PREDICTED; n++) {
      const port = predictedPort(of, n);
      if (isNew(port)) yield port;
    }
  }
  const { min, max } = range;
  const size = max - min + 1;
  for (let left = size - [...known].filter((port) => port >= min && port <= max).length; left > 0; ) {
    const port = min + randomBelow(random, size);
    if (!isNew(port)) continue;
    left--;
    yield port;
  }
}
