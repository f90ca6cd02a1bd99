/**
 * Reservation tokens (RFC 8656 §18.11: eight bytes) that lead to the shard that made them, and say nothing to anybody else:
 * seven random bytes, and the shard's number under a mask that only a key makes of the seven.
 */
import { copyBytes } from "../../base/bytes.ts";
import type { Crypto, HmacKey, Random } from "../../base/ports.ts";

const LENGTH = 8;
const NUMBER_AT = LENGTH - 1;

export class ReservationTokens {
  readonly #crypto: Crypto;
  readonly #key: HmacKey;
  readonly #index: number;

  constructor(crypto: Crypto, key: Uint8Array, index: number) {
    this.#crypto = crypto;
    this.#key = crypto.importKey(key);
    this.#index = index;
  }

  make(random: Random): Uint8Array {
    const token = copyBytes(random.bytes(LENGTH));
    token[NUMBER_AT] = this.#mask(token) ^ this.#index;
    return token;
  }

  /** Whose this is if it is anybody's: of a token that nobody made it is any number up to 255. */
  shardOf(token: Uint8Array): number {
    return this.#mask(token) ^ (token[NUMBER_AT] as number);
  }

  #mask(token: Uint8Array): number {
    return this.#crypto.hmacSha256(this.#key, token.subarray(0, NUMBER_AT))[0] as number;
  }
}
