/** Randomness from a seed (sfc32, 128 bits of state): the same seed gives the same run everywhere. Not for secrets. */
import type { Random } from "../core/base/ports.ts";

export class SeededRandom implements Random {
  #a: number;
  #b = 0x9e3779b9;
  #c = 0x243f6a88;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const t = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** A number in [0, 1). */
  fraction(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** True in this share of all cases; costs no randomness where there is nothing to decide. */
  happens(share: number): boolean {
    return share > 0 && (share >= 1 || this.fraction() < share);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.u32());
  }

  /** A generator of its own, so that what one part of a world draws does not move what another draws. */
  fork(): SeededRandom {
    return new SeededRandom(this.u32());
  }
}
