/**
 * Which counts of which nonces were used already, so that a request that somebody overheard is not accepted again
 * (RFC 7616 §3.4.5). Only who has proven to know a password gets an entry here. Requests overtake each other on UDP: a
 * window of the last 32 counts is kept, as against replay elsewhere.
 */
import { detached } from "../../base/detached.ts";
import type { UnixSeconds } from "../../base/machine.ts";

interface Used {
  readonly issuedAt: UnixSeconds;
  highest: number;
  /** Bit n: the count `highest - n` was used. */
  window: number;
}

const WINDOW = 32;

export class NonceCounts {
  /** Oldest first by first use. */
  readonly #used: Map<string, Used> = new Map();
  readonly #lifetime: number;
  readonly #capacity: number;
  /** Nonces not younger than this are refused: their counts were forgotten for want of room. */
  #forgotten = -1;

  /** `lifetime`: of nonces, in seconds. `capacity`: nonces at most. */
  constructor(lifetime: number, capacity: number) {
    this.#lifetime = lifetime;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#used.size;
  }

  /** Notes the use; false when it cannot be told from a repetition. */
  use(nonce: string, issuedAt: UnixSeconds, count: number, now: UnixSeconds): boolean {
    const used = this.#used.get(nonce);
    if (used === undefined) return issuedAt > this.#forgotten && this.#add(nonce, issuedAt, count, now);
    const ahead = count - used.highest;
    if (ahead > 0) {
      used.window = ahead >= WINDOW ? 1 : (used.window << ahead) | 1;
      used.highest = count;
      return true;
    }
    const bit = -ahead;
    if (bit >= WINDOW || (used.window >>> bit) & 1) return false;
    used.window |= 1 << bit;
    return true;
  }

  #add(nonce: string, issuedAt: UnixSeconds, count: number, now: UnixSeconds): boolean {
    for (const [oldest, { issuedAt: at }] of this.#used) {
      const isExpired = now - at > this.#lifetime;
      if (!isExpired && this.#used.size < this.#capacity) break;
      if (!isExpired) this.#forgotten = Math.max(this.#forgotten, at);
      this.#used.delete(oldest);
    }
    if (issuedAt <= this.#forgotten) return false;
    this.#used.set(detached(nonce), { issuedAt, highest: count, window: 1 });
    return true;
  }
}
