/** A timer that is a descriptor, and counts in microseconds, where Node's count in milliseconds. */
import { CLOCK_MONOTONIC, ITIMERSPEC, TFD_CLOEXEC, TFD_NONBLOCK } from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { noteOpened } from "./open-descriptors.ts";
import { orThrow } from "./system-error.ts";
import { closeDescriptor } from "./udp-socket.ts";

export class Timer {
  /** Readable when the time has come, until the timer is set again. */
  readonly descriptor: number;
  readonly #libc: Libc = libc();
  readonly #setting: NativeMemory = new NativeMemory("timer setting", ITIMERSPEC.size);

  /** Not set. Throws `SystemError`. */
  constructor() {
    const timer = this.#libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    this.descriptor = noteOpened(orThrow("timerfd_create", timer));
  }

  /** Once, so many microseconds from now, less than a second; 0: never. */
  set(microseconds: number): void {
    this.#setting.u32[ITIMERSPEC.nanoseconds >> 2] = microseconds * 1_000;
    this.#libc.timerfd_settime(this.descriptor, 0, this.#setting.address, 0);
  }

  close(): void {
    closeDescriptor(this.descriptor);
    this.#setting.release();
  }
}
