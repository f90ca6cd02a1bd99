/**
 * Builds one STUN message after another in a buffer that it keeps. `finish` returns bytes that belong to the caller.
 * Every byte of padding is written as zero, so nothing of an earlier message can leak into a later one.
 */
import type { Address } from "../base/address.ts";
import { writeU16, writeU32 } from "../base/bytes.ts";
import type { Crypto, HmacKey } from "../base/ports.ts";
import { cutCopy } from "../base/slab.ts";
import { encodeUtf8, isAscii } from "../base/utf8.ts";
import { fingerprint } from "./fingerprint.ts";
import { Attribute, FAMILY_IPV4, FAMILY_IPV6, HEADER_LENGTH, MAGIC_COOKIE, type MessageClass } from "./registry.ts";
import type { StunView } from "./view.ts";

/** Bytes 4 to 20 of a message: the magic cookie and the transaction ID, or RFC 3489's 16-byte ID. */
const ID_LENGTH = 16;

/** The 16 bytes for `begin` from a 12-byte transaction ID: the magic cookie goes in front. */
export function messageId(transactionId: Uint8Array): Uint8Array {
  const id = new Uint8Array(ID_LENGTH);
  writeU32(id, 0, MAGIC_COOKIE);
  id.set(transactionId, 4);
  return id;
}

export class StunWriter {
  #data = new Uint8Array(512);
  #end = 0;

  /** Bytes of the message so far. */
  get length(): number {
    return this.#end;
  }

  /** Starts a message. `id` is the 16 bytes behind the length field; a response takes its request's. */
  begin(method: number, messageClass: MessageClass, id: Uint8Array): this {
    this.#data.set(id, 4);
    return this.#beginWith(method, messageClass);
  }

  /** The same with the `id` that a `StunView` gave. */
  beginTo(method: number, messageClass: MessageClass, id: string): this {
    for (let i = 0; i < ID_LENGTH; i++) this.#data[4 + i] = id.charCodeAt(i);
    return this.#beginWith(method, messageClass);
  }

  /** Starts the answer to `request`, with its method and its transaction ID. */
  beginAnswer(request: StunView, messageClass: MessageClass): this {
    for (let at = 4; at < 4 + ID_LENGTH; at++) this.#data[at] = request.data[at] as number;
    return this.#beginWith(request.method, messageClass);
  }

  #beginWith(method: number, messageClass: MessageClass): this {
    const spread = (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2);
    writeU16(this.#data, 0, spread | ((messageClass & 2) << 7) | ((messageClass & 1) << 4));
    this.#end = HEADER_LENGTH;
    return this;
  }

  /** Appends an attribute header and `length` zeroed, padded bytes; returns where the value begins. */
  #append(type: number, length: number): number {
    const at = this.#end + 4;
    const end = at + ((length + 3) & ~3);
    if (end > this.#data.length) {
      const larger = new Uint8Array(end * 2);
      larger.set(this.#data);
      this.#data = larger;
    }
    writeU16(this.#data, this.#end, type);
    writeU16(this.#data, this.#end + 2, length);
    this.#data.fill(0, at, end);
    this.#end = end;
    return at;
  }

  bytes(type: number, value: Uint8Array): this {
    const at = this.#append(type, value.length);
    this.#data.set(value, at);
    return this;
  }

  text(type: number, value: string): this {
    if (!isAscii(value)) return this.bytes(type, encodeUtf8(value));
    const at = this.#append(type, value.length);
    for (let i = 0; i < value.length; i++) this.#data[at + i] = value.charCodeAt(i);
    return this;
  }

  u32(type: number, value: number): this {
    const at = this.#append(type, 4);
    writeU32(this.#data, at, value);
    return this;
  }

  xorAddress(type: number, address: Readonly<Address>): this {
    return this.#address(type, address, true);
  }

  address(type: number, address: Readonly<Address>): this {
    return this.#address(type, address, false);
  }

  #address(type: number, a: Readonly<Address>, xor: boolean): this {
    const v4 = a.family === 4;
    const at = this.#append(type, v4 ? 8 : 20);
    const d = this.#data;
    d[at + 1] = v4 ? FAMILY_IPV4 : FAMILY_IPV6;
    writeU16(d, at + 2, a.port);
    if (v4) writeU32(d, at + 4, a.w3);
    else {
      writeU32(d, at + 4, a.w0);
      writeU32(d, at + 8, a.w1);
      writeU32(d, at + 12, a.w2);
      writeU32(d, at + 16, a.w3);
    }
    if (!xor) return this;
    d[at + 2] = (d[at + 2] as number) ^ (d[4] as number);
    d[at + 3] = (d[at + 3] as number) ^ (d[5] as number);
    for (let i = 0; i < (v4 ? 4 : 16); i++) d[at + 4 + i] = (d[at + 4 + i] as number) ^ (d[4 + i] as number);
    return this;
  }

  /** RFC 8489 §14.8. `reason` is empty unless asked for: it would only feed amplification. */
  errorCode(code: number, reason = ""): this {
    const phrase = encodeUtf8(reason);
    const at = this.#append(Attribute.ErrorCode, 4 + phrase.length);
    this.#data[at + 2] = Math.floor(code / 100);
    this.#data[at + 3] = code % 100;
    this.#data.set(phrase, at + 4);
    return this;
  }

  /** A list of 16-bit values: UNKNOWN-ATTRIBUTES (RFC 8489 §14.13). */
  u16List(type: number, values: readonly number[]): this {
    const at = this.#append(type, values.length * 2);
    for (const [i, value] of values.entries()) writeU16(this.#data, at + i * 2, value);
    return this;
  }

  /** MESSAGE-INTEGRITY, HMAC-SHA1 (RFC 8489 §14.5). */
  integritySha1(crypto: Crypto, key: HmacKey): this {
    const end = this.#end;
    const at = this.#append(Attribute.MessageIntegrity, 20);
    this.#writeLength();
    this.#data.set(crypto.hmacSha1(key, this.#data.subarray(0, end)), at);
    return this;
  }

  /** MESSAGE-INTEGRITY-SHA256, whole or truncated to `length`, a multiple of four from 16 to 32 (RFC 8489 §14.6). */
  integritySha256(crypto: Crypto, key: HmacKey, length = 32): this {
    const end = this.#end;
    const at = this.#append(Attribute.MessageIntegritySha256, length);
    this.#writeLength();
    this.#data.set(crypto.hmacSha256(key, this.#data.subarray(0, end)).subarray(0, length), at);
    return this;
  }

  fingerprint(): this {
    const end = this.#end;
    const at = this.#append(Attribute.Fingerprint, 4);
    this.#writeLength();
    writeU32(this.#data, at, fingerprint(this.#data, end));
    return this;
  }

  #writeLength(): void {
    writeU16(this.#data, 2, this.#end - HEADER_LENGTH);
  }

  /** The finished message, a copy. */
  finish(): Uint8Array {
    this.#writeLength();
    return cutCopy(this.#data, 0, this.#end);
  }
}
