/** How long the packets of a stream are on their way, and how unevenly: quantiles, and the jitter of RFC 3550. */

/** Milliseconds. */
export interface TransitFigures {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
  /** The mean of |D|: how much later or earlier than its predecessor a packet is (RFC 3550 §6.4.1). */
  readonly jitter: number;
  /** The highest that J was, the running estimate of the same section. */
  readonly worstJitter: number;
}

/** RFC 3550 §6.4.1: the gain that a receiver's estimate moves with. */
const GAIN = 1 / 16;

export class TransitMeter {
  #samples: number[] = [];
  #last: number | undefined;
  #differences = 0;
  #sumOfDifferences = 0;
  #jitter = 0;
  #worstJitter = 0;

  /** Packets are told in the order in which they arrive. */
  add(transit: number): void {
    this.#samples.push(transit);
    if (this.#last !== undefined) this.#addDifference(Math.abs(transit - this.#last));
    this.#last = transit;
  }

  #addDifference(difference: number): void {
    this.#differences++;
    this.#sumOfDifferences += difference;
    // RFC 3550 §6.4.1: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1))/16.
    this.#jitter += (difference - this.#jitter) * GAIN;
    this.#worstJitter = Math.max(this.#worstJitter, this.#jitter);
  }

  /** The figures since the last call; undefined when nothing has arrived. J goes on. */
  take(): TransitFigures | undefined {
    const sorted = this.#samples.sort((a, b) => a - b);
    if (sorted.length === 0) return undefined;
    const figures: TransitFigures = {
      min: sorted[0] as number,
      median: quantile(sorted, 0.5),
      p95: quantile(sorted, 0.95),
      max: sorted.at(-1) as number,
      jitter: this.#differences === 0 ? 0 : this.#sumOfDifferences / this.#differences,
      worstJitter: this.#worstJitter,
    };
    this.#samples = [];
    this.#differences = this.#sumOfDifferences = 0;
    this.#worstJitter = this.#jitter;
    return figures;
  }
}

/** The smallest sample that so large a part of all does not exceed. */
function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] as number;
}
