/** How much may be on its way at once, for the network's sake: slow start and congestion avoidance (RFC 5681). */

export class Congestion {
  /** Bytes. */
  window: number;
  #threshold: number = Number.POSITIVE_INFINITY;

  constructor(mss: number) {
    // RFC 5681 §3.1: two to four segments to begin with.
    this.window = mss > 2190 ? 2 * mss : mss > 1095 ? 3 * mss : 4 * mss;
  }

  /** New bytes are acknowledged. */
  acknowledge(bytes: number, mss: number): void {
    this.window += this.window < this.#threshold ? Math.min(bytes, mss) : Math.max(1, (mss * mss) / this.window);
  }

  /** RFC 5681 §3.1: a time-out begins anew with one segment; the threshold is held while that is lost again. */
  expire(inFlight: number, mss: number, isAgain: boolean): void {
    if (!isAgain) this.#threshold = Math.max(inFlight / 2, 2 * mss);
    this.window = mss;
  }

  /** RFC 5681 §3.2: three duplicate acknowledgments halve the window. */
  halve(inFlight: number, mss: number): void {
    this.#threshold = Math.max(inFlight / 2, 2 * mss);
    this.window = this.#threshold + 3 * mss;
  }

  /** RFC 5681 §3.2: each further duplicate has left the network. */
  inflate(mss: number): void {
    this.window += mss;
  }

  /** RFC 6582 §3.2: a partial acknowledgment takes what has left the network, but for the segment sent again. */
  acknowledgePart(bytes: number, mss: number): void {
    this.window = Math.max(mss, this.window - bytes + (bytes >= mss ? mss : 0));
  }

  /** RFC 5681 §3.2: what was lost has arrived. */
  deflate(): void {
    this.window = Math.min(this.window, this.#threshold);
  }
}
