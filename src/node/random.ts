/**
 * Random bytes from the operating system's CSPRNG. They are drawn a page at a time, because a call costs more than the
 * bytes; what has been handed out is wiped from the pool.
 */
import { randomFillSync } from "node:crypto";
import type { Random } from "../core/base/ports.ts";

const poolBytes = 4096;

export class PooledRandom implements Random {
  readonly #pool: Uint8Array = new Uint8Array(poolBytes);
  #used = poolBytes;

  /** `length` bytes that belong to the caller. */
  bytes(length: number): Uint8Array {
    if (length > poolBytes) return randomFillSync(new Uint8Array(length));
    if (length > poolBytes - this.#used) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += length;
    const out = this.#pool.slice(from, this.#used);
    this.#pool.fill(0, from, this.#used);
    return out;
  }
}
