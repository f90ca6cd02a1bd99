/** The numbers of one source's packets: how many came, how many are missing, how evenly (RFC 3550 §A.1, §A.3, §A.8). */

/** RFC 3550 §A.1: a number this far ahead continues; further, or this far behind, and the source has begun anew. */
export const MAX_DROPOUT = 3000;
const MAX_MISORDER = 100;
/** Milliseconds between the times that two packets took. */
const MAX_TRANSIT_CHANGE_MS = 60_000;

/** How far `to` is ahead of `from`, -32768 to 32767. */
export function sequenceDistance(from: number, to: number): number {
  return ((to - from) << 16) >> 16;
}

export class SequenceMeter {
  #ssrc = 0;
  /** Of the latest source, extended by its cycles (RFC 3550 §A.1). */
  #highest = -1;
  /** How many sources there were, or beginnings of one. */
  #source = 0;
  /** The highest of the one before. */
  #highestBefore = 0;
  /** Packets that should have come and did, of this source and of those before. */
  #expected = 0;
  #received = 0;
  /** Undefined where the packet before was seen by somebody else. */
  #transit: number | undefined;
  #jitter = 0;

  /** Of the latest source; undefined before the first packet. */
  get ssrc(): number | undefined {
    return this.#highest < 0 ? undefined : this.#ssrc;
  }

  /** The highest number of the latest source. */
  get highest(): number {
    return this.#highest < 0 ? -1 : this.#highest & 0xffff;
  }

  /** The same, extended by its cycles. */
  get extendedHighest(): number {
    return this.#highest;
  }

  /** Which of the sources, or beginnings of one, this is: for `handleForwarded`. */
  get source(): number {
    return this.#source;
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

  /**
   * Milliseconds at which it came, and its timestamp in milliseconds of its own clock. Whether it goes on with what came
   * before; false: it is another source, or that has begun anew.
   */
  handle(ssrc: number, sequence: number, timestampMs: number, now: number): boolean {
    this.#received++;
    const transit = now - timestampMs;
    const distance = sequenceDistance(this.#highest, sequence);
    if (this.#highest < 0 || ssrc !== this.#ssrc || distance > MAX_DROPOUT || distance < -MAX_MISORDER) {
      this.#ssrc = ssrc;
      this.#highestBefore = this.#highest;
      this.#highest = sequence;
      this.#source++;
      this.#expected++;
      this.#transit = transit;
      return false;
    }
    if (distance > 0) {
      this.#highest += distance;
      this.#expected += distance;
    }
    const change = this.#transit === undefined ? 0 : Math.abs(transit - this.#transit);
    // The timestamp's wrap is a leap that no network makes.
    if (this.#transit !== undefined && change < MAX_TRANSIT_CHANGE_MS) this.#jitter += (change - this.#jitter) / 16;
    this.#transit = transit;
    return true;
  }

  /**
   * Packets that somebody else has seen, who went on from `extendedHighest` and `jitter` of this `source`: up to this
   * number, in 32 bits, and with that jitter now.
   */
  handleForwarded(source: number, packets: number, highest: number, jitter: number): void {
    this.#received += packets;
    if (source === this.#source) {
      const ahead = Math.max(0, (highest - this.#highest) | 0);
      this.#highest += ahead;
      this.#expected += ahead;
      this.#jitter = jitter;
      this.#transit = undefined;
    } else if (source === this.#source - 1) {
      // The last ones of the source before: its successor was heard of earlier.
      const ahead = Math.max(0, (highest - this.#highestBefore) | 0);
      this.#highestBefore += ahead;
      this.#expected += ahead;
    }
  }
}
