/**
 * What a thread has open. A worker that is ended leaves its descriptors behind: nobody but us knows of those that came
 * from foreign functions. So each thread that may end before the process records them, a bit each, in memory that it
 * shares with the thread that started it, which closes them afterwards.
 *
 * A descriptor is recorded after it was opened, and struck out before it is closed: a thread that is ended in between
 * leaves one open, and never has somebody else's closed, who got the same number.
 */
let record: Int32Array | undefined;

/** Room for descriptors below `limit`; what is above is not recorded. */
export function createDescriptorRecord(limit: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(Math.ceil(limit / 32) * 4));
}

/** Where this thread's descriptors are recorded from now on. */
export function recordDescriptorsIn(into: Int32Array): void {
  record = into;
}

/** This thread has opened a descriptor, or was given one. */
export function noteOpened(descriptor: number): number {
  if (record !== undefined && descriptor >= 0) noteGiven(descriptor, record);
  return descriptor;
}

/** The thread with this record is given one, and knows it later. */
export function noteGiven(descriptor: number, to: Int32Array): void {
  if (descriptor >>> 5 < to.length) Atomics.or(to, descriptor >>> 5, 1 << (descriptor & 31));
}

/** This thread is about to close it, or has given it away. */
export function noteClosing(descriptor: number): void {
  if (record === undefined || descriptor < 0 || descriptor >>> 5 >= record.length) return;
  Atomics.and(record, descriptor >>> 5, ~(1 << (descriptor & 31)));
}

/** What is open according to `from`. */
export function* openDescriptors(from: Int32Array): Generator<number> {
  for (const [i, word] of from.entries()) {
    if (word === 0) continue;
    for (let bit = 0; bit < 32; bit++) if ((word & (1 << bit)) !== 0) yield i * 32 + bit;
  }
}
