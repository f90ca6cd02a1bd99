/** What a seed changes in a cell of the grid: the network, how its NATs assign ports, and how the two agents begin. */
import type { PortAssignment } from "../../../src/natlab/behavior.ts";
import { SeededRandom } from "../../../src/natlab/seeded-random.ts";
import { type Cell, type Outcome, type RunOptions, run } from "./grid.ts";

/** Not overloading: that is another mapping, as others see it. */
const ASSIGNMENTS: readonly PortAssignment[] = [
  { kind: "random" },
  { kind: "preservation" },
  { kind: "sequential", step: 1 },
  { kind: "sequential", step: 3 },
];

function portsOfSeed(seed: number): PortAssignment {
  return ASSIGNMENTS[Math.floor(seed / 7) % ASSIGNMENTS.length] as PortAssignment;
}

interface Weather extends RunOptions {
  readonly seed: number;
  readonly loss: number;
  /** Packets take different times, or change their order. */
  readonly isUneven: boolean;
}

function draw<T>(random: SeededRandom, of: readonly T[]): T {
  return of[random.below(of.length)] as T;
}

/** One run in three loses packets, nearly half are uneven; the rest is as it should be, far or near. */
function weatherOf(seed: number): Weather {
  const random = new SeededRandom(seed);
  const loss = draw(random, [0, 0, 0, 0, 0.005, 0.02]);
  const jitter = draw(random, [0, 0, 0, 15]);
  const reorder = draw(random, [0, 0, 0, 0.1]);
  const components = draw(random, [[1], [1], [1, 2]]);
  return {
    seed,
    ports: portsOfSeed(seed),
    delay: draw(random, [1, 10, 25, 40, 75, 150]),
    loss,
    conditions: { jitter, reorder },
    isUneven: jitter > 0 || reorder > 0,
    // How long the descriptions take says how much later the second one begins.
    signaling: draw(random, [1, 25, 80, 300]),
    trickle: draw(random, [false, true]),
    config: { streams: [components] },
  };
}

/**
 * The cell in this weather. `trouble` says what came out otherwise than the oracle says. The path must be as it says in all
 * weathers: five seconds after the beginning, or fifteen where packets are lost. A relay that is not needed must carry
 * nothing where nothing is lost and all packets take the same time: else what tells of the direct path may come too late.
 */
export function runSeed(cell: Cell, seed: number): Outcome & { readonly trouble: string | undefined } {
  const weather = weatherOf(seed);
  const outcome = run(cell, { ...weather, within: weather.loss > 0 ? 15_000 : 5_000 });
  const isCalm = weather.loss === 0 && !weather.isUneven;
  const isRelayedInVain = cell.expected === "direct" && outcome.relayedMedia > 0;
  const isRight = outcome.found === cell.expected && !(isRelayedInVain && isCalm);
  const what = `seed ${seed}: ${cell.family}, ${cell.name}: ${cell.expected} expected`;
  return { ...outcome, trouble: isRight ? undefined : `${what}, ${JSON.stringify({ outcome, weather })}` };
}
