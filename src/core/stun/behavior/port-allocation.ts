/** How a NAT chooses public ports, from mappings in the order in which they were made. */
import { type Finding, known, type PortAllocation, unknown } from "./report.ts";

export interface PortPair {
  readonly local: number;
  readonly mapped: number;
}

/** Fewer mappings look like a pattern by chance. */
const ENOUGH = 4;

/** How far apart ports of one sequence may lie when others take some in between. */
const LONGEST_STEP = 64;

export function portAllocation(pairs: readonly PortPair[]): Finding<PortAllocation> {
  if (pairs.length < ENOUGH) return unknown("too-few-mappings");
  if (pairs.every(({ local, mapped }) => local === mapped)) return known({ pattern: "preserving" });
  const steps = pairs.slice(1).map(({ mapped }, i) => mapped - (pairs[i] as PortPair).mapped);
  const step = steps.reduce(greatestCommonDivisor);
  const oneWay = steps.every((one) => one > 0) || steps.every((one) => one < 0);
  if (!oneWay || steps.some((one) => Math.abs(one) > LONGEST_STEP)) return known({ pattern: "random" });
  return known({ pattern: "sequential", step: Math.sign(steps[0] as number) * Math.abs(step) });
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : greatestCommonDivisor(b, a % b);
}
