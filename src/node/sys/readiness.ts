/** Lets an event loop watch a descriptor. */
import { availableForeign } from "./libc.ts";

/** A descriptor that is watched. */
export interface Watch {
  /** The thread must stay alive for it. */
  ref(): void;
  unref(): void;
  /** It is watched, as it is at first. */
  start(): void;
  /** Nothing is heard of it until `start`. */
  stop(): void;
  /** The same for ever; the descriptor stays open. */
  close(): void;
}

/** Calls `whenReady` in every turn of the loop in which `descriptor` can be read. */
export type WatchReadable = (descriptor: number, whenReady: () => void) => Watch;

/** What runs a thread, to who has descriptors of their own. */
export interface ThreadLoop {
  readonly watch: WatchReadable;
  /**
   * Waits in its place, from inside an immediate or what `watch` calls: for so many microseconds, less than a second, and not much longer. Returns whether it did:
   * not, or not any more, when somebody else has something to do, or a timer is due before. Promises that are settled, and microtasks, wait as well.
   */
  pause(microseconds: number): boolean;
}

/**
 * By Node's own event loop: for the main thread alone. When a worker is ended, Node lets libuv run once more, and a
 * descriptor that is ready then calls into what is gone, which ends the process. There it is `WaitLoop`.
 */
export function watchReadable(descriptor: number, whenReady: () => void): Watch {
  let isDue = false;
  const turn = (): void => {
    isDue = false;
    whenReady();
  };
  // Straight from libuv nothing may be thrown, and promises that are settled wait for somebody else.
  const handleReady = (): void => {
    if (isDue) return;
    isDue = true;
    setImmediate(turn);
  };
  const handle = availableForeign().node.poll(descriptor, handleReady);
  return {
    ref: () => handle.ref(),
    unref: () => handle.unref(),
    start: () => handle.start(handleReady),
    stop: () => handle.stop(),
    close: () => handle.close(),
  };
}
