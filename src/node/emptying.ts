/** Waits for the end of what a server still does: sessions, calls. */
export class Emptying {
  readonly #isEmpty: () => boolean;
  readonly #waiting: Set<() => void> = new Set();

  constructor(isEmpty: () => boolean) {
    this.#isEmpty = isEmpty;
  }

  /** Something has ended. */
  look(): void {
    if (this.#waiting.size > 0 && this.#isEmpty()) for (const wake of this.#waiting) wake();
  }

  /** Resolves when nothing is left, or time is up. Rejects with the signal's reason. */
  async wait(deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#isEmpty()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, deadlineMs);
    this.#waiting.add(resolve);
    const wake = (): void => resolve();
    signal?.addEventListener("abort", wake);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
    signal?.removeEventListener("abort", wake);
    signal?.throwIfAborted();
  }
}
