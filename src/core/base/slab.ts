/**
 * Room for short byte strings, cut from larger pieces one after the other and never used again. An array of more than 64
 * bytes that has its memory to itself costs more to make, and to collect, than all that is done with a request.
 */
import { copyBytes } from "./bytes.ts";

const PIECE = 8_192;
/** What is longer has its own memory: it would leave much of a piece unused, and keep all of it alive. */
const LONGEST = 1_024;
/** Up to here an array's bytes are in the array object itself. */
const SHORTEST = 64;

let piece = new Uint8Array(0);
let used = 0;

/** A copy of `bytes[from, to)`, whose bytes nobody else has; its `buffer` is shared. */
export function cutCopy(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const length = to - from;
  if (length <= SHORTEST || length > LONGEST) return copyBytes(bytes, from, to);
  if (length > piece.length - used) {
    piece = new Uint8Array(PIECE);
    used = 0;
  }
  const at = used;
  used += length;
  for (let i = 0; i < length; i++) piece[at + i] = bytes[from + i] as number;
  return piece.subarray(at, used);
}
