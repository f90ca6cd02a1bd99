/**
 * Memory that was freed, given back to the system. glibc keeps it for the thread that had it, and the threads on which V8
 * compiles and collects have had megabytes for a moment each: a third of what a server with 10,000 allocations takes
 * beside its heap.
 *
 * Whoever asks for memory meanwhile waits: up to 3 ms where 60 MB are to be looked through, and 9 ms where it is 200. So it is
 * left alone while there is something to do.
 */
import { type AsyncForeignFunction, foreign } from "./foreign.ts";

interface FreeMemoryOptions {
  readonly everyMs?: number;
  /** Whether nobody would notice; by what the process has used of a processor since it was last asked, unless given. */
  readonly isIdle?: () => boolean;
}

/** Of one processor. */
const idleShare = 0.05;

export class FreeMemory implements Disposable {
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #isIdle: () => boolean;
  #isBusy = false;

  /** Of the whole process. Does nothing where the C library is another, and does not keep the process alive. */
  constructor({ everyMs = 10_000, isIdle = usesLessThan(everyMs * idleShare) }: FreeMemoryOptions = {}) {
    this.#isIdle = isIdle;
    const trim = mallocTrim();
    if (trim !== undefined) this.#timer = setInterval(() => this.#giveBack(trim), everyMs).unref();
  }

  /** It may take milliseconds, so another thread does it. */
  #giveBack(trim: AsyncForeignFunction): void {
    const isIdle = this.#isIdle();
    if (this.#isBusy || !isIdle) return;
    this.#isBusy = true;
    trim.async(0, () => (this.#isBusy = false));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Whether all threads together have been at work for less than so long since it was last asked. */
function usesLessThan(milliseconds: number): () => boolean {
  let before = process.cpuUsage();
  return () => {
    const now = process.cpuUsage();
    const used = now.user + now.system - before.user - before.system;
    before = now;
    return used < milliseconds * 1_000;
  };
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
