/** A token bucket: `rate` tokens a second, at most `burst` at once. */
import type { Instant } from "./machine.ts";

export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #at: Instant;

  constructor(rate: number, burst: number, now: Instant) {
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes `amount` tokens; false, and nothing taken, when there are not enough. */
  take(amount: number, now: Instant): boolean {
    if (now > this.#at) {
      this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate);
      this.#at = now;
    }
    if (this.#tokens < amount) return false;
    this.#tokens -= amount;
    return true;
  }
}
