/** How long to wait for an acknowledgment (RFC 6298), in milliseconds. */
import type { Instant } from "../../core/base/machine.ts";

/** RFC 6298 §2: one second before anything is measured, and never less than that. */
const LEAST = 1000;
/** RFC 6298 §2.5: at least 60 seconds. */
const MOST = 60_000;
/** RFC 6298 §5.7: where even the SYN timed out, and nothing could be measured. */
const AFTER_LOST_SYN = 3000;

export class RoundTrip {
  #smoothed: number | undefined;
  #unmeasured = LEAST;
  #variation = 0;
  #backoff = 1;
  /** The one segment that is timed: what acknowledges it, and when it was sent. */
  #timed: { readonly until: number; readonly sentAt: Instant } | undefined;

  /** The retransmission time-out. */
  get timeout(): number {
    const base = this.#smoothed === undefined ? this.#unmeasured : this.#smoothed + Math.max(1, 4 * this.#variation);
    return Math.min(Math.max(base, LEAST) * this.#backoff, MOST);
  }

  get timedUntil(): number | undefined {
    return this.#timed?.until;
  }

  /** A segment that ends before `until` is sent for the first time. */
  begin(until: number, now: Instant): void {
    this.#timed ??= { until, sentAt: now };
  }

  /** What was timed is acknowledged. */
  finish(now: Instant): void {
    if (this.#timed === undefined) return;
    const sample = now - this.#timed.sentAt;
    this.#timed = undefined;
    if (this.#smoothed === undefined) {
      this.#smoothed = sample;
      this.#variation = sample / 2;
    } else {
      // RFC 6298 §2.3: alpha is 1/8, beta 1/4.
      this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - sample);
      this.#smoothed = 0.875 * this.#smoothed + 0.125 * sample;
    }
    this.#backoff = 1;
  }

  /** Something new is acknowledged, so the path works again. */
  recover(): void {
    if (this.#backoff > 1) this.#unmeasured = AFTER_LOST_SYN;
    this.#backoff = 1;
  }

  /** RFC 6298 §5.5: the time-out doubles. §3 (Karn): what was sent twice is not timed. */
  expire(): void {
    this.#backoff = Math.min(this.#backoff * 2, MOST);
    this.#timed = undefined;
  }

  /** Karn's rule again, for what is sent twice without a time-out. */
  abandon(): void {
    this.#timed = undefined;
  }
}
