/** The core's `Crypto` on node:crypto, and randomness from a seed, for tests. */
import { createHash, createHmac, createSecretKey, type KeyObject } from "node:crypto";
import type { Crypto, HmacKey, Random } from "../../src/core/base/ports.ts";

function hmac(hash: string, key: HmacKey, data: Uint8Array): Uint8Array {
  return createHmac(hash, key as KeyObject)
    .update(data)
    .digest();
}

export const testCrypto: Crypto = {
  md5: (data) => createHash("md5").update(data).digest(),
  sha256: (data) => createHash("sha256").update(data).digest(),
  hashText: (algorithm, text) => createHash(algorithm).update(text, "latin1").digest("hex"),
  importKey: (bytes) => createSecretKey(bytes) as HmacKey,
  hmacSha1: (key, data) => hmac("sha1", key, data),
  hmacSha256: (key, data) => hmac("sha256", key, data),
};

/** A small generator with 128 bits of state (sfc32): the same seed gives the same numbers everywhere. */
export class SeededRandom implements Random {
  #a = 0;
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
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    return t >>> 0;
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return this.u32() % bound;
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.u32());
  }
}
