/** Integers from random bytes. */
import { readU32 } from "./bytes.ts";
import type { Random } from "./ports.ts";

/** A uniform integer in [0, bound). `bound` is at most 2^16, so the modulo bias of 32 bits is below 2^-16. */
export function randomBelow(random: Random, bound: number): number {
  return readU32(random.bytes(4), 0) % bound;
}
