/** A descriptor with which one thread wakes another: readable from the signal on until it is cleared. */
import { EFD_CLOEXEC, EFD_NONBLOCK } from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { orThrow } from "./system-error.ts";
import { closeDescriptor } from "./udp-socket.ts";

/** What is read and written is a number of 64 bits. */
const countLength = 8;

/** Not signalled. Throws `SystemError`. */
export function openEvent(): number {
  return orThrow("eventfd", libc().eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

/** One that is open, from this thread's side. */
export class EventDescriptor {
  readonly descriptor: number;
  readonly #libc: Libc = libc();
  readonly #one: NativeMemory = new NativeMemory("event signal", countLength);
  readonly #read: NativeMemory = new NativeMemory("event count", countLength);

  constructor(descriptor: number) {
    this.descriptor = descriptor;
    this.#one.u32[0] = 1;
  }

  signal(): void {
    this.#libc.write(this.descriptor, this.#one.address, countLength);
  }

  /** Whether it was signalled since the last time. */
  clear(): boolean {
    return this.#libc.read(this.descriptor, this.#read.address, countLength) === countLength;
  }

  /** This thread uses it no more; it stays open. */
  release(): void {
    this.#one.release();
    this.#read.release();
  }

  close(): void {
    closeDescriptor(this.descriptor);
    this.release();
  }
}
