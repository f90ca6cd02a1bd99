/** Failures that a stranger may be able to cause at will: one log line a window, which counts those before it. */
import { monotonicNow } from "./clock.ts";
import type { Log } from "./log.ts";

const windowMs = 10_000;

export class FailureLog {
  readonly #log: Log;
  readonly #event: string;
  #silentUntil = Number.NEGATIVE_INFINITY;
  #unreported = 0;

  constructor(log: Log, event: string) {
    this.#log = log;
    this.#event = event;
  }

  report(error: unknown): void {
    const now = monotonicNow();
    if (now < this.#silentUntil) {
      this.#unreported++;
      return;
    }
    this.#log.error({ err: error, unreported: this.#unreported }, this.#event);
    this.#silentUntil = now + windowMs;
    this.#unreported = 0;
  }
}
