/**
 * One Node timer that follows a deadline. A deadline that moves away is not followed at once: the timer fires early,
 * and its owner, who finds nothing due, sets the next one. So a deadline that moves with every packet costs nothing.
 */
import type { Instant } from "../core/base/machine.ts";
import { monotonicNow } from "./clock.ts";

/** Node's timers cannot wait longer; a later deadline is reached in steps. */
const longestWaitMs = 0x7fffffff;

export class Alarm {
  readonly #onDue: () => void;
  readonly #now: () => Instant;
  #timer: NodeJS.Timeout | undefined;
  #firesAt = Number.POSITIVE_INFINITY;

  /** `onDue` may be called early, and calls `follow` again. The alarm does not keep the process alive. */
  constructor(onDue: () => void, now: () => Instant = monotonicNow) {
    this.#onDue = onDue;
    this.#now = now;
  }

  /** Fires no later than `deadline`; with undefined, whenever it was going to. */
  follow(deadline: Instant | undefined): void {
    if (deadline === undefined || deadline >= this.#firesAt) return;
    clearTimeout(this.#timer);
    this.#firesAt = deadline;
    // Rounded up: a timer that fires a fraction of a millisecond early would only fire again.
    const wait = Math.min(Math.max(0, Math.ceil(deadline - this.#now())), longestWaitMs);
    this.#timer = setTimeout(() => this.#fire(), wait).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#firesAt = Number.POSITIVE_INFINITY;
  }

  #fire(): void {
    this.#firesAt = Number.POSITIVE_INFINITY;
    this.#onDue();
  }
}
