/** A token bucket: `rate` tokens a second, at most `burst` at once. */
import type { Instant } from "./machine.ts";

export class TokenBucket {
  readonly rate: number;
  readonly burst: number;
  #tokens: number;
  #at: Instant;

  constructor(rate: number, burst: number, now: Instant) {
    this.rate = rate;
    this.burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes `amount` tokens; false, and nothing taken, when there are not enough. */
  take(amount: number, now: Instant): boolean {
    this.#fill(now);
    if (this.#tokens < amount) return false;
    this.#tokens -= amount;
    return true;
  }

  /** Takes what somebody else has let through already, but never so much that more than one burst is owed. */
  spend(amount: number, now: Instant): void {
    this.#fill(now);
    this.#tokens = Math.max(-this.burst, this.#tokens - amount);
  }

  #fill(now: Instant): void {
    if (now <= this.#at) return;
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#at) / 1000) * this.rate);
    this.#at = now;
  }
}
