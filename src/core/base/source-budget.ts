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
  source.w1 = a.w1 & 0xffffff00;
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

  /** Counts one against the source, or against `what` of it; false when it is over budget. */
  take(from: Readonly<Address>, now: Instant, what: string = ""): boolean {
    const slot = this.#slotOf(from, what);
    const spent = this.#spentAt(slot, now);
    const within = spent + 1 <= this.#burst;
    this.#at[slot] = now;
    this.#spent[slot] = within ? spent + 1 : spent;
    return within;
  }

  /** Whether `take` would be within the budget. */
  has(from: Readonly<Address>, now: Instant, what: string = ""): boolean {
    return this.#spentAt(this.#slotOf(from, what), now) + 1 <= this.#burst;
  }

  #slotOf(from: Readonly<Address>, what: string): number {
    let seed = this.#seed;
    for (let i = 0; i < what.length; i++) seed = Math.imul(seed ^ what.charCodeAt(i), 0x01000193) >>> 0;
    return hashSource(from, seed) & (SLOTS - 1);
  }

  #spentAt(slot: number, now: Instant): number {
    const elapsed = now - (this.#at[slot] as number);
    const regained = (Math.max(0, elapsed) / 1000) * this.#perSecond;
    return Math.max(0, (this.#spent[slot] as number) - regained);
  }
}
