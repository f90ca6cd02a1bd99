/** Priorities of candidates and pairs (RFC 8445 §5.1.2, §6.1.2.3). A pair's needs 64 bits, and is exact as a bigint. */
import type { CandidateType } from "./candidate.ts";

/** RFC 8445 §5.1.2.2: host above peer-reflexive above server-reflexive above relayed. */
const TYPE_PREFERENCES: Readonly<Record<CandidateType, number>> = { host: 126, prflx: 110, srflx: 100, relay: 0 };

export const MAX_LOCAL_PREFERENCE = 65_535;

/** Below it, a priority is a relayed candidate's, whatever its type is said to be. */
export const LEAST_DIRECT_PRIORITY: number = 2 ** 24;

/** A 32-bit number. `localPreference`: 0 to 65,535; `component`: 1 to 256. */
export function candidatePriority(type: CandidateType, localPreference: number, component: number): number {
  return TYPE_PREFERENCES[type] * 2 ** 24 + localPreference * 2 ** 8 + (256 - component);
}

/** RFC 8445 §6.1.2.3: 2^32*MIN(G,D) + 2*MAX(G,D) + (G>D?1:0). */
export function pairPriority(controlling: number, controlled: number): bigint {
  const [least, most] = controlling < controlled ? [controlling, controlled] : [controlled, controlling];
  return (BigInt(least) << 32n) + 2n * BigInt(most) + (controlling > controlled ? 1n : 0n);
}
