/**
 * Memory that was freed, given back to the system. glibc keeps it for the thread that had it, and the threads on which V8
 * compiles and collects have had megabytes for a moment each: a third of what a server with 10,000 allocations takes
 * beside its heap.
 */
import { type AsyncForeignFunction, foreign } from "./foreign.ts";

export class FreeMemory implements Disposable {
  readonly #timer: NodeJS.Timeout | undefined;
  #isBusy = false;

  /** Of the whole process. Does nothing where the C library is another, and does not keep the process alive. */
  constructor({ everyMs = 10_000 }: { everyMs?: number } = {}) {
    const trim = mallocTrim();
    if (trim !== undefined) this.#timer = setInterval(() => this.#giveBack(trim), everyMs).unref();
  }

  /** It may take milliseconds, so another thread does it. */
  #giveBack(trim: AsyncForeignFunction): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    trim.async(0, () => (this.#isBusy = false));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** musl has none, and keeps little. */
function mallocTrim(): AsyncForeignFunction | undefined {
  const functions = foreign();
  if (functions instanceof Error) return undefined;
  try {
    return functions.load(null).func("malloc_trim", "int", ["size_t"]);
  } catch {
    return undefined;
  }
}
