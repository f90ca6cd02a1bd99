/**
 * The door to foreign functions, and the only file that knows koffi. Its prebuilt libraries are packages of their own,
 * which install without a script and only where they run (Linux on x86-64 and arm64, glibc and musl); where there is
 * none, everything works on what Node itself offers.
 *
 * What stands behind this door can end the process: a wrong pointer is not an exception. So the directory is small, every
 * structure is described once (`layout.ts`) and checked against the kernel's headers, and memory that native code sees
 * is a `NativeMemory`, which lives until it is released.
 */
import { createRequire } from "node:module";

export type ForeignFunction = (...args: readonly (number | bigint | string | object | null)[]) => number;

/** One that can be called on another thread, too. */
export interface AsyncForeignFunction extends ForeignFunction {
  /** The last argument is a function that hears, on this thread, when it has returned. */
  async(...args: readonly unknown[]): void;
}

/** A descriptor that Node's event loop watches. */
export interface PollHandle {
  ref(): void;
  unref(): void;
  start(ready: () => void): void;
  /** Nothing is heard of it until `start`. */
  stop(): void;
  /** The same for ever; the descriptor stays open. */
  close(): void;
}

/** What is used of koffi. */
export interface Foreign {
  load(library: null): { func(name: string, result: string, args: readonly string[]): AsyncForeignFunction };
  address(memory: Uint8Array): bigint;
  errno(): number;
  /** `env`: what Node-API calls this thread's Node by. */
  readonly node: { readonly env: bigint; poll(descriptor: number, ready: () => void): PollHandle };
}

let loaded: Foreign | Error | undefined;

function load(): Foreign | Error {
  // Elsewhere the structures have other layouts.
  if (process.platform !== "linux" || (process.arch !== "x64" && process.arch !== "arm64")) {
    return new Error(
      `foreign functions are called on Linux, on x64 and arm64, not on ${process.platform} ${process.arch}`,
    );
  }
  try {
    return createRequire(import.meta.url)(`@koromix/koffi-${process.platform}-${process.arch}`) as Foreign;
  } catch (error) {
    return error as Error;
  }
}

/** The foreign functions, or why there are none. */
export function foreign(): Foreign | Error {
  loaded ??= load();
  return loaded;
}
