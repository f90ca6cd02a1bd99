/**
 * Which counts of which nonces were used already, so that a request that somebody overheard is not accepted again
 * (RFC 7616 §3.4.5). Only who has proven to know a password gets an entry here. Requests overtake each other on UDP: a
 * window of the last 32 counts is kept, as against replay elsewhere.
 *
 * Entries are in two generations, and the older goes as a whole: to take single ones off a large table's begin costs more
 * than all else that is done with a nonce.
 */
import { detached } from "../../base/detached.ts";
import type { UnixSeconds } from "../../base/machine.ts";

interface Used {
  highest: number;
  /** Bit n: the count `highest - n` was used. */
  window: number;
}

const WINDOW = 32;
/** Seconds by which a fleet's clocks may. */
const CLOCKS_DIFFER = 30;

class Generation {
  readonly nonces: Map<string, Used> = new Map();
  readonly since: UnixSeconds;
  /** When its youngest nonce was issued. */
  newest: UnixSeconds | -1 = -1;

  constructor(since: UnixSeconds) {
    this.since = since;
  }
}

export class NonceCounts {
  #young: Generation;
  #old: Generation;
  readonly #lifetime: number;
  readonly #capacity: number;
  /** Nonces not younger than this are refused: their counts were forgotten for want of room. */
  #forgotten: number;

  /**
   * `lifetime`: of nonces, in seconds. `capacity`: nonces at most, of which half are remembered in any case. `since`: now;
   * which nonces were used before, by a process whose keys are the same, nobody knows.
   */
  constructor(lifetime: number, capacity: number, since: UnixSeconds) {
    this.#lifetime = lifetime;
    this.#capacity = capacity;
    this.#young = new Generation(since);
    this.#old = new Generation(since);
    this.#forgotten = since - 1;
  }

  get size(): number {
    return this.#young.nonces.size + this.#old.nonces.size;
  }

  /** Notes the use; false when it cannot be told from a repetition. */
  use(nonce: string, issuedAt: UnixSeconds, count: number, now: UnixSeconds): boolean {
    const used = this.#young.nonces.get(nonce) ?? this.#old.nonces.get(nonce);
    if (used === undefined) {
      // The clock was set back: what it says is right from now on, and nobody waits until it is there again.
      if (this.#forgotten - now > CLOCKS_DIFFER) this.#forgotten = now - 1;
      return issuedAt > this.#forgotten && this.#add(nonce, issuedAt, count, now);
    }
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
    const isFull = this.#young.nonces.size * 2 >= this.#capacity;
    if (isFull || now - this.#young.since > this.#lifetime) this.#turn(now);
    if (issuedAt <= this.#forgotten) return false;
    const young = this.#young;
    if (issuedAt > young.newest) young.newest = issuedAt;
    young.nonces.set(detached(nonce), { highest: count, window: 1 });
    return true;
  }

  #turn(now: UnixSeconds): void {
    const { newest } = this.#old;
    if (now - newest <= this.#lifetime) this.#forgotten = Math.max(this.#forgotten, newest);
    this.#old = this.#young;
    this.#young = new Generation(now);
  }
}
