/**
 * Nonces that need no memory: the cookie with its feature bits, the time, and an HMAC over both and the client's
 * transport address. Only who received the challenge at that address can repeat it, so a valid nonce proves the return
 * path. Servers that share a key accept each other's.
 */
import type { Address } from "../../base/address.ts";
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { concatBytes, equalConstantTime, readU32, writeU16, writeU32 } from "../../base/bytes.ts";
import type { UnixSeconds } from "../../base/machine.ts";
import type { Crypto, HmacKey } from "../../base/ports.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import { encodeNonceCookie, NONCE_COOKIE_LENGTH } from "../../stun/security-features.ts";

const TIME_LENGTH = 4;
const TAG_LENGTH = 12;

/** Characters in a nonce: 13 of cookie and 22 of base64. */
export const NONCE_LENGTH = 35;

export class Nonces {
  readonly #crypto: Crypto;
  readonly #keys: readonly HmacKey[];
  readonly #lifetime: number;
  readonly #cookie: string;
  readonly #covered: Uint8Array;

  /** `keys`: the first signs, all verify. `lifetime` in seconds. `features`: RFC 8489 §18.1, covered by the HMAC. */
  constructor(crypto: Crypto, keys: readonly Uint8Array[], lifetime: number, features: number) {
    this.#crypto = crypto;
    this.#keys = keys.map((key) => crypto.importKey(key));
    this.#lifetime = lifetime;
    this.#cookie = encodeNonceCookie(features);
    // cookie, time, IP address, port
    this.#covered = new Uint8Array(NONCE_COOKIE_LENGTH + TIME_LENGTH + 18);
    this.#covered.set(encodeUtf8(this.#cookie));
  }

  create(client: Readonly<Address>, at: UnixSeconds): string {
    const tag = this.#tag(this.#keys[0] as HmacKey, client, at);
    return this.#cookie + encodeBase64(concatBytes(this.#time(at), tag), "");
  }

  /** Whether `nonce` was given to this client, with these feature bits, not longer ago than its lifetime. */
  isValid(nonce: string, client: Readonly<Address>, now: UnixSeconds): boolean {
    // RFC 8489 §9.2: the HMAC covers the cookie, so feature bits that were changed on the way make the nonce stale.
    if (nonce.length !== NONCE_LENGTH || !nonce.startsWith(this.#cookie)) return false;
    const body = decodeBase64(nonce.slice(NONCE_COOKIE_LENGTH));
    if (body?.length !== TIME_LENGTH + TAG_LENGTH) return false;
    const at = readU32(body, 0) as UnixSeconds;
    // Clocks of a fleet differ a little: a nonce from just ahead is good.
    if (now - at > this.#lifetime || at - now > 30) return false;
    const tag = body.subarray(TIME_LENGTH);
    return this.#keys.some((key) => equalConstantTime(tag, this.#tag(key, client, at)));
  }

  #time(at: UnixSeconds): Uint8Array {
    const bytes = new Uint8Array(TIME_LENGTH);
    writeU32(bytes, 0, at);
    return bytes;
  }

  #tag(key: HmacKey, client: Readonly<Address>, at: UnixSeconds): Uint8Array {
    const c = this.#covered;
    let i = NONCE_COOKIE_LENGTH;
    for (const word of [at, client.w0, client.w1, client.w2, client.w3]) {
      writeU32(c, i, word);
      i += 4;
    }
    writeU16(c, i, client.port);
    return this.#crypto.hmacSha256(key, c).subarray(0, TAG_LENGTH);
  }
}
