/**
 * Whether it is worth waiting before the next look at the sockets. A wake costs several times what one more packet in it
 * does, so under load packets may wait for company, never longer than the operator's bound. When little comes, nothing
 * waits; when so much comes that batches are large anyhow, nothing needs to.
 */

/** Over so long a time packets are counted, in milliseconds. */
const measureMs = 2;

/** Packets to expect within the bound for waiting to begin, and to go on. */
const worthBeginning = 2;
const worthGoingOn = 1.5;

/** So many at once, or to expect, have company enough: serving them takes the time in which others come. */
const large = 16;

export class Pace {
  /** Zero: packets never wait. */
  readonly #boundMs: number;
  #since = 0;
  #packets = 0;
  /** Per millisecond, when last measured. */
  #rate = 0;
  #isWaiting = false;

  constructor(boundMicroseconds: number) {
    this.#boundMs = boundMicroseconds / 1_000;
  }

  /** Whether to wait for the bound now that a look at the sockets found `packets`; `now` in milliseconds. */
  handleLook(packets: number, now: number): boolean {
    if (this.#boundMs === 0) return false;
    this.#packets += packets;
    const elapsed = now - this.#since;
    if (elapsed >= measureMs) {
      this.#rate = this.#packets / elapsed;
      this.#packets = 0;
      this.#since = now;
    }
    const expected = this.#rate * this.#boundMs;
    const worth = this.#isWaiting ? worthGoingOn : worthBeginning;
    this.#isWaiting = packets < large && expected < large && expected >= worth;
    return this.#isWaiting;
  }
}
