/** The numbers of one source's packets: how many came, how many are missing, how evenly (RFC 3550 §A.1, §A.3, §A.8). */

/** RFC 3550 §A.1: a number this far ahead continues; further, or this far behind, and the source has begun anew. */
export const MAX_DROPOUT = 3000;
const MAX_MISORDER = 100;

/** How far `to` is ahead of `from`, -32768 to 32767. */
export function sequenceDistance(from: number, to: number): number {
  return ((to - from) << 16) >> 16;
}

export class SequenceMeter {
  #ssrc = 0;
  #highest = -1;
  /** Packets that should have come and did, of this source and of those before. */
  #expected = 0;
  #received = 0;
  #transit = 0;
  #jitter = 0;

  /** Of the latest source; undefined before the first packet. */
  get ssrc(): number | undefined {
    return this.#highest < 0 ? undefined : this.#ssrc;
  }

  /** The highest number of the latest source. */
  get highest(): number {
    return this.#highest;
  }

  get received(): number {
    return this.#received;
  }

  /** RFC 3550 §A.3: below 0 where packets came twice; said as 0. */
  get lost(): number {
    return Math.max(0, this.#expected - this.#received);
  }

  /** RFC 3550 §A.8: in milliseconds. */
  get jitter(): number {
    return this.#jitter;
  }

  /** Milliseconds at which it came, and its timestamp in milliseconds of its own clock. */
  handle(ssrc: number, sequence: number, timestampMs: number, now: number): void {
    this.#received++;
    const transit = now - timestampMs;
    const distance = sequenceDistance(this.#highest, sequence);
    if (this.#highest < 0 || ssrc !== this.#ssrc || distance > MAX_DROPOUT || distance < -MAX_MISORDER) {
      this.#ssrc = ssrc;
      this.#highest = sequence;
      this.#expected++;
    } else {
      if (distance > 0) {
        this.#highest = sequence;
        this.#expected += distance;
      }
      const change = Math.abs(transit - this.#transit);
      // The timestamp's wrap is a leap that no network makes.
      if (change < 60_000) this.#jitter += (change - this.#jitter) / 16;
    }
    this.#transit = transit;
  }
}
