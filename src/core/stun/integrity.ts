/** Verifies MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.5, §14.6). */
import { equalConstantTime, readU16, writeU16 } from "../base/bytes.ts";
import type { Crypto, HmacKey } from "../base/ports.ts";
import { Attribute, HEADER_LENGTH } from "./registry.ts";
import type { StunView } from "./view.ts";

/**
 * The HMAC covers the message up to the attribute, with the header's length counting up to the attribute's end. The
 * length is patched in the borrowed bytes and put back, which saves a copy of every request.
 */
function verify(view: StunView, index: number, hmac: (covered: Uint8Array) => Uint8Array): boolean {
  const at = view.offsetAt(index);
  const length = view.lengthAt(index);
  const original = readU16(view.data, 2);
  writeU16(view.data, 2, at + length - HEADER_LENGTH);
  const expected = hmac(view.data.subarray(0, at - 4));
  writeU16(view.data, 2, original);
  return equalConstantTime(expected.subarray(0, length), view.bytesAt(index));
}

/** Whether the message carries a MESSAGE-INTEGRITY made with `key`. */
export function hasIntegritySha1(view: StunView, crypto: Crypto, key: HmacKey): boolean {
  const index = view.indexOf(Attribute.MessageIntegrity);
  if (index < 0 || view.lengthAt(index) !== 20) return false;
  return verify(view, index, (covered) => crypto.hmacSha1(key, covered));
}

/**
 * Whether the message carries a MESSAGE-INTEGRITY-SHA256 made with `key`, of at least `minLength` bytes.
 * RFC 8489 §14.6: 16 to 32 bytes, a multiple of four; a STUN usage may demand more.
 */
export function hasIntegritySha256(view: StunView, crypto: Crypto, key: HmacKey, minLength = 16): boolean {
  const index = view.indexOf(Attribute.MessageIntegritySha256);
  if (index < 0) return false;
  const length = view.lengthAt(index);
  if (length < Math.max(16, minLength) || length > 32 || length % 4 !== 0) return false;
  return verify(view, index, (covered) => crypto.hmacSha256(key, covered));
}
