/** What a seed changes in a cell of the grid: how its NATs assign ports, which must not matter. */
import type { PortAssignment } from "../../../src/natlab/behavior.ts";

/** Not overloading: that is another mapping, as others see it. */
const ASSIGNMENTS: readonly PortAssignment[] = [
  { kind: "random" },
  { kind: "preservation" },
  { kind: "sequential", step: 1 },
  { kind: "sequential", step: 3 },
];

export function portsOfSeed(seed: number): PortAssignment {
  return ASSIGNMENTS[Math.floor(seed / 7) % ASSIGNMENTS.length] as PortAssignment;
}
