/** A token bucket: `rate` tokens a second, at most `burst` at once. */
import type { Instant } from "./machine.ts";

/** What many buckets have in common. */
export interface BucketSize {
  /** Tokens a second. */
  readonly rate: number;
  /** Tokens that a full one holds. */
  readonly burst: number;
}

export class TokenBucket {
  readonly size: BucketSize;
  #tokens: number;
  /** Whole milliseconds, which take no room beside the object. */
  #at: number;

  /** Full at first. */
  constructor(size: BucketSize, now: Instant) {
    this.size = size;
    this.#tokens = size.burst;
    this.#at = Math.floor(now);
  }

  /** Takes `amount` tokens; false, and nothing taken, when there are not enough. */
  take(amount: number, now: Instant): boolean {
    this.#fill(now);
    if (this.#tokens < amount) return false;
    this.#tokens -= amount;
    return true;
  }

  /** How many there are; less than none where some are owed. */
  left(now: Instant): number {
    this.#fill(now);
    return this.#tokens;
  }

  /** Has so many from now on, as somebody knows who keeps it too; less than none are owed. */
  settle(left: number, now: Instant): void {
    this.#fill(now);
    this.#tokens = left;
  }

  #fill(now: Instant): void {
    const at = Math.floor(now);
    if (at <= this.#at) return;
    const { rate, burst } = this.size;
    this.#tokens = Math.min(burst, this.#tokens + ((at - this.#at) / 1000) * rate);
    this.#at = at;
  }
}
