/**
 * How much one source may ask of us, in a table of fixed size: a flood of spoofed sources costs no memory. A source is
 * an IPv4 address or an IPv6 /56; sources whose hashes collide share a bucket. Over budget means silence and never a
 * ban, because the address may be a victim's.
 */
import { type Address, blankAddress, hashIp } from "./address.ts";
import type { Instant } from "./machine.ts";

export const SOURCE_SLOTS: number = 1 << 16;

const source: Address = blankAddress();

/** A hash of the source that `a` belongs to: its IPv4 address or its IPv6 /56. */
export function hashSource(a: Readonly<Address>, seed: number): number {
  if (a.family === 4) return hashIp(a, seed);
  source.family = 6;
  source.w0 = a.w0;
  source.w1 = a.w1 & 0xffffff00;
  return hashIp(source, seed);
}

/** What a slot holds that was never used. */
const UNUSED = 0;
/** Parts of a token that instants are counted in; fewer where bursts are so long that they would not fit. */
const finest = 16;
const mostAhead = 2 ** 29;

/**
 * A slot holds the instant at which its source will have regained everything, counted in parts of a token, modulo 2³². What is
 * further ahead than any debt can be is long past. After 2²⁸ tokens' time, days at usual rates, a source may be taken for one
 * that has just spent, and is until it would have regained that.
 */
export class SourceBudget {
  readonly #token: number;
  readonly #burst: number;
  readonly #perMillisecond: number;
  readonly #seed: number;
  readonly #slots: Int32Array;
  readonly #isShared: boolean;

  /**
   * `perSecond`: sustained rate of one source. `burst`: how many at once. `slots`: `SOURCE_SLOTS` of them, at first all 0, where
   * several have one budget; they have the same seed then, and one clock.
   */
  constructor(
    perSecond: number,
    seed: number,
    burst: number = perSecond * 2,
    slots: Int32Array = new Int32Array(SOURCE_SLOTS),
  ) {
    this.#token = Math.max(1, Math.min(finest, Math.floor(mostAhead / burst)));
    this.#burst = Math.min(mostAhead, burst * this.#token);
    this.#perMillisecond = (perSecond / 1000) * this.#token;
    this.#seed = seed;
    this.#slots = slots;
    this.#isShared = slots.buffer instanceof SharedArrayBuffer;
  }

  /** Counts one against the source, or against `what` of it; false when it is over budget. */
  take(from: Readonly<Address>, now: Instant, what: string = ""): boolean {
    const slot = this.#slotOf(from, what);
    const at = this.#partsAt(now);
    for (;;) {
      const due = this.#slots[slot] as number;
      const spent = this.#spentAt(due, at) + this.#token;
      if (spent > this.#burst) return false;
      if (this.#change(slot, due, (at + spent) | 0 || 1)) return true;
    }
  }

  /** Whether `take` would be within the budget. */
  has(from: Readonly<Address>, now: Instant, what: string = ""): boolean {
    const due = this.#slots[this.#slotOf(from, what)] as number;
    return this.#spentAt(due, this.#partsAt(now)) + this.#token <= this.#burst;
  }

  /** False when another thread was faster. */
  #change(slot: number, due: number, next: number): boolean {
    if (this.#isShared) return Atomics.compareExchange(this.#slots, slot, due, next) === due;
    this.#slots[slot] = next;
    return true;
  }

  #slotOf(from: Readonly<Address>, what: string): number {
    let seed = this.#seed;
    for (let i = 0; i < what.length; i++) seed = Math.imul(seed ^ what.charCodeAt(i), 0x01000193) >>> 0;
    return hashSource(from, seed) & (SOURCE_SLOTS - 1);
  }

  #partsAt(now: Instant): number {
    return (now * this.#perMillisecond) | 0;
  }

  /** Another thread may have spent a little later than now. */
  #spentAt(due: number, at: number): number {
    const left = (due - at) | 0;
    return due === UNUSED || left < 0 || left > 2 * this.#burst ? 0 : left;
  }
}
