/** Lets Node's event loop watch a descriptor. */
import type { PollHandle } from "./foreign.ts";
import { availableForeign } from "./libc.ts";

/**
 * Calls `whenReady` in every turn of the loop in which `descriptor` can be read. The call comes straight from libuv: it must not
 * throw, and promises that it settles wait for somebody else; `setImmediate` is what it is good for. Keeps the process
 * alive unless `unref` is called.
 */
export function watchReadable(descriptor: number, whenReady: () => void): PollHandle {
  return availableForeign().node.poll(descriptor, whenReady);
}
