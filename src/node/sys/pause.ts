/** Waits for microseconds, or until a descriptor can be read, where an event loop would count in milliseconds. */
import { POLLFD, POLLIN, PR_GET_TIMERSLACK, TIMESPEC } from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";

/** Behind what is waited for. */
const TIME = POLLFD.size;

export class Pause {
  readonly #libc: Libc = libc();
  readonly #memory: NativeMemory = new NativeMemory("pause", TIME + TIMESPEC.size);
  /** By how many microseconds the kernel may wake this thread late, to wake it for several things at once. */
  readonly #slack: number;

  constructor(descriptor: number) {
    this.#slack = Math.ceil(this.#libc.prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) / 1_000);
    this.#memory.u32[POLLFD.descriptor >> 2] = descriptor;
    this.#memory.u32[POLLFD.events >> 2] = POLLIN;
  }

  /** Whether it lasted, and no longer than so many microseconds, less than a second; not when it would be no longer than the kernel may be late. */
  take(microseconds: number): boolean {
    if (microseconds <= this.#slack) return false;
    this.#memory.u32[(TIME + TIMESPEC.nanoseconds) >> 2] = (microseconds - this.#slack) * 1_000;
    return this.#libc.ppoll(this.#memory.address, 1, this.#memory.address + TIME, 0) === 0;
  }

  release(): void {
    this.#memory.release();
  }
}
