/** What waits for something to become of a connection. */

interface Waiting {
  /** Whether it has come to its end. */
  look(): boolean;
  fail(cause: unknown): void;
}

/** Any time: it only has to be there. */
const holdMs = 1 << 30;

export class Outcomes {
  readonly #waiting: Set<Waiting> = new Set();
  /** A connection that has no socket of its own, as one confined to a relay, would not keep the process for who waits. */
  #hold: NodeJS.Timeout | undefined;

  /**
   * Resolves with what `look` finds, now or after a later `lookAgain`; rejects with what it throws, or with the signal's
   * reason.
   */
  async await<T>(look: () => T | undefined, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const waiting: Waiting = {
      look: () => {
        const found = look();
        if (found !== undefined) resolve(found);
        return found !== undefined;
      },
      fail: reject,
    };
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    this.#waiting.add(waiting);
    this.#hold ??= setInterval(() => {}, holdMs);
    this.#look(waiting);
    try {
      return await promise;
    } finally {
      this.#waiting.delete(waiting);
      signal?.removeEventListener("abort", abort);
      if (this.#waiting.size === 0) this.#release();
    }
  }

  #release(): void {
    clearInterval(this.#hold);
    this.#hold = undefined;
  }

  lookAgain(): void {
    for (const waiting of this.#waiting) this.#look(waiting);
  }

  #look(waiting: Waiting): void {
    try {
      if (waiting.look()) this.#waiting.delete(waiting);
    } catch (cause) {
      this.#waiting.delete(waiting);
      waiting.fail(cause);
    }
  }
}
