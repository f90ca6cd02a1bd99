/**
 * A checked view of one STUN message. Decoding copies nothing and allocates nothing: it notes where each attribute
 * lies. One view serves message after message; what it hands out is borrowed like the bytes beneath it.
 */
import type { Address } from "../base/address.ts";
import { readI32, readU16, readU32 } from "../base/bytes.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { fingerprint } from "./fingerprint.ts";
import { Attribute, FAMILY_IPV4, FAMILY_IPV6, HEADER_LENGTH, MAGIC_COOKIE, MessageClass } from "./registry.ts";

/** Why bytes are not a STUN message. Constants, because hostile bytes are common. */
export type DecodeFailure =
  | "too-short"
  | "not-stun"
  | "bad-length"
  | "bad-attribute"
  | "too-many-attributes"
  | "bad-fingerprint";

/** More attributes than any message of the RFCs has; the walk over hostile bytes ends here. */
const MAX_ATTRIBUTES = 48;

/** Whether `data` starts like STUN: first two bits zero (RFC 7983 §7, RFC 8656 §12). */
export function looksLikeStun(data: Uint8Array): boolean {
  return data.length > 0 && ((data[0] as number) & 0xc0) === 0;
}

const ID_LENGTH = 16;
/** A text that is put together piece by piece keeps its pieces; this one is made at once. */
const idBytes: number[] = Array.from({ length: ID_LENGTH }, () => 0);

export class StunView {
  data: Uint8Array = new Uint8Array(0);
  /** Bytes of the message, which begins `data`; what is behind them is not its. */
  length = 0;
  method = 0;
  class: MessageClass = MessageClass.Request;
  /** The message has no magic cookie: an RFC 3489 client sent it. */
  classic = false;
  attributeCount = 0;
  readonly #types = new Uint16Array(MAX_ATTRIBUTES);
  /** The header is not counted in a message's length, so offsets may pass 65,535. */
  readonly #offsets = new Uint32Array(MAX_ATTRIBUTES);
  readonly #lengths = new Uint16Array(MAX_ATTRIBUTES);

  /** Decodes `data[0, size)`, which must be exactly one message; undefined on success. */
  decode(data: Uint8Array, size: number = data.length): DecodeFailure | undefined {
    this.data = data;
    this.length = size;
    this.attributeCount = 0;
    if (size < HEADER_LENGTH) return "too-short";
    if (!looksLikeStun(data)) return "not-stun";
    const type = readU16(data, 0);
    // RFC 8489 §5: the class bits C1 and C0 sit between the method's bits.
    this.method = (type & 0x000f) | ((type & 0x00e0) >> 1) | ((type & 0x3e00) >> 2);
    this.class = (((type >> 7) & 2) | ((type >> 4) & 1)) as MessageClass;
    this.classic = readU32(data, 4) !== MAGIC_COOKIE;
    const length = readU16(data, 2);
    if (length % 4 !== 0 || HEADER_LENGTH + length !== size) return "bad-length";
    return this.#walk(data, size);
  }

  #walk(data: Uint8Array, size: number): DecodeFailure | undefined {
    let at = HEADER_LENGTH;
    let sealed = 0;
    while (at < size) {
      const type = readU16(data, at);
      const length = readU16(data, at + 2);
      const next = at + 4 + ((length + 3) & ~3);
      if (next > size) return "bad-attribute";
      if (type === Attribute.Fingerprint) {
        // RFC 8489 §14.7: FINGERPRINT is the last attribute.
        if (length !== 4 || next !== size) return "bad-attribute";
        if (readU32(data, at + 4) !== fingerprint(data, at)) return "bad-fingerprint";
      }
      const rank = sealRank(type);
      // RFC 8489 §14.5, §14.6: what follows the integrity attribute is ignored, but for the next kind of seal.
      if (rank > sealed || sealed === 0) {
        if (this.attributeCount === MAX_ATTRIBUTES) return "too-many-attributes";
        this.#types[this.attributeCount] = type;
        this.#offsets[this.attributeCount] = at + 4;
        this.#lengths[this.attributeCount++] = length;
      }
      if (rank > sealed) sealed = rank;
      at = next;
    }
    return undefined;
  }

  /** What stands between the length field and the attributes, by which an answer is known: a character for each byte. */
  get id(): string {
    for (let i = 0; i < ID_LENGTH; i++) idBytes[i] = this.data[4 + i] as number;
    return String.fromCharCode(...idBytes);
  }

  typeAt(index: number): number {
    return this.#types[index] as number;
  }

  /** Where the value of attribute `index` begins. */
  offsetAt(index: number): number {
    return this.#offsets[index] as number;
  }

  lengthAt(index: number): number {
    return this.#lengths[index] as number;
  }

  /** Index of the first attribute of `type`; -1 when absent. RFC 8489 §14: of duplicates only the first counts. */
  indexOf(type: number): number {
    for (let i = 0; i < this.attributeCount; i++) if (this.#types[i] === type) return i;
    return -1;
  }

  has(type: number): boolean {
    return this.indexOf(type) >= 0;
  }

  /** The value of the first attribute of `type`, borrowed; undefined when absent. */
  bytes(type: number): Uint8Array | undefined {
    const i = this.indexOf(type);
    return i < 0 ? undefined : this.bytesAt(i);
  }

  /** The value of attribute `index`, borrowed. */
  bytesAt(index: number): Uint8Array {
    const at = this.offsetAt(index);
    return this.data.subarray(at, at + this.lengthAt(index));
  }

  /** A UTF-8 value of at most `maxBytes`; undefined when absent, longer, or not UTF-8. */
  text(type: number, maxBytes: number): string | undefined {
    const value = this.bytes(type);
    return value === undefined || value.length > maxBytes ? undefined : decodeUtf8(value);
  }

  /** A 32-bit value; undefined when absent or of another length. */
  u32(type: number): number | undefined {
    const i = this.indexOf(type);
    return i < 0 || this.lengthAt(i) !== 4 ? undefined : readU32(this.data, this.offsetAt(i));
  }

  /** Writes the XOR-ed address in attribute `index` into `out`; false when it is malformed. RFC 8489 §14.2. */
  xorAddressAt(index: number, out: Address): boolean {
    return this.#address(index, out, true);
  }

  /** Writes the plain address in attribute `index` into `out`; false when it is malformed. RFC 8489 §14.1. */
  addressAt(index: number, out: Address): boolean {
    return this.#address(index, out, false);
  }

  #address(index: number, out: Address, xor: boolean): boolean {
    const d = this.data;
    const at = this.offsetAt(index);
    const length = this.lengthAt(index);
    const family = length < 8 ? 0 : d[at + 1];
    if (!((family === FAMILY_IPV4 && length === 8) || (family === FAMILY_IPV6 && length === 20))) return false;
    out.port = xor ? readU16(d, at + 2) ^ readU16(d, 4) : readU16(d, at + 2);
    out.text = "";
    out.family = family === FAMILY_IPV4 ? 4 : 6;
    if (out.family === 4) {
      out.w0 = out.w1 = out.w2 = 0;
      out.w3 = readI32(d, at + 4);
      if (xor) out.w3 ^= readI32(d, 4);
      return true;
    }
    const mask = xor ? 0xffffffff : 0;
    out.w0 = readI32(d, at + 4) ^ (readI32(d, 4) & mask);
    out.w1 = readI32(d, at + 8) ^ (readI32(d, 8) & mask);
    out.w2 = readI32(d, at + 12) ^ (readI32(d, 12) & mask);
    out.w3 = readI32(d, at + 16) ^ (readI32(d, 16) & mask);
    return true;
  }
}

/** The order in which the sealing attributes close a message; 0 for every other attribute. */
function sealRank(type: number): number {
  if (type === Attribute.MessageIntegrity) return 1;
  if (type === Attribute.MessageIntegritySha256) return 2;
  return type === Attribute.Fingerprint ? 3 : 0;
}
