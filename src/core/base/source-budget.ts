/**
 * How much one source may ask of us, in a table of fixed size: a flood of spoofed sources costs no memory. A source is
 * an IPv4 address or an IPv6 /56; sources whose hashes collide share a bucket. Over budget means silence and never a
 * ban, because the address may be a victim's.
 */
import { type Address, blankAddress, hashIp } from "./address.ts";
import type { Instant } from "./machine.ts";

const SLOTS = 1 << 16;

const source: Address = blankAddress();

/** A hash of the source that `a` belongs to: its IPv4 address or its IPv6 /56. */
export function hashSource(a: Readonly<Address>, seed: number): number {
  if (a.family === 4) return hashIp(a, seed);
  source.family = 6;
  source.w0 = a.w0;
  source.w1 = (a.w1 & 0xffffff00) >>> 0;
  return hashIp(source, seed);
}

export class SourceBudget {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #seed: number;
  /** Tokens spent and not yet regained. */
  readonly #spent: Float32Array = new Float32Array(SLOTS);
  readonly #at: Float64Array = new Float64Array(SLOTS);

  /** `perSecond`: sustained rate of one source. `burst`: how many at once. */
  constructor(perSecond: number, seed: number, burst: number = perSecond * 2) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#seed = seed;
  }

  /** Counts one against the source; false when it is over budget. */
  take(from: Readonly<Address>, now: Instant): boolean {
    const slot = hashSource(from, this.#seed) & (SLOTS - 1);
    const elapsed = now - (this.#at[slot] as number);
    const regained = (Math.max(0, elapsed) / 1000) * this.#perSecond;
    const spent = Math.max(0, (this.#spent[slot] as number) - regained);
    this.#at[slot] = now;
    const within = spent + 1 <= this.#burst;
    this.#spent[slot] = within ? spent + 1 : spent;
    return within;
  }
}
