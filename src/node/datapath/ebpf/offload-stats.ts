/** What became of offloading, in plain numbers. */
import { OUTCOME } from "./program.ts";

/**
 * What the program did with a datagram. `missed`: of no flow; `unusual`: padded, or of a form that is left to user space;
 * `expired`: the daemon had not renewed the lease; `policed`: beyond the allocation's bandwidth; `tooLong` for the way;
 * `notMedia`: RTCP, STUN and the like, on a flow of RTP. `policed` and `failed` were dropped, the others came up.
 */
export type Outcome = keyof typeof OUTCOME;

/** In the program's order. */
export const outcomes: readonly Outcome[] = (Object.entries(OUTCOME) as [Outcome, number][])
  .sort(([, a], [, b]) => a - b)
  .map(([name]) => name);

export interface OffloadStats {
  /** In the kernel now. */
  flows: number;
  /** Datagrams, since the start, as of the last look. */
  readonly datagrams: Record<Outcome, number>;
  /** How often the kernel refused to take a flow, or to be asked about one. */
  failures: number;
  /** 1 while there is no program in the kernel: of several threads, how many have none. */
  missing: number;
}

export function createOffloadStats(): OffloadStats {
  const datagrams = Object.fromEntries(outcomes.map((name) => [name, 0])) as Record<Outcome, number>;
  return { flows: 0, datagrams, failures: 0, missing: 0 };
}
