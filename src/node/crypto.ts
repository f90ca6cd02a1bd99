/**
 * The core's cryptography from node:crypto, by its one-shot hash: an object for each HMAC costs twice as much, and more
 * to collect. Hashes come as text and are written into bytes here, because a buffer that is made outside of
 * the JavaScript heap costs more than hashing does.
 */
import { hash } from "node:crypto";
import type { Crypto, HmacKey } from "../core/base/ports.ts";

const lengths = { md5: 16, sha1: 20, sha256: 32 } as const;
type Algorithm = keyof typeof lengths;
type HmacAlgorithm = "sha1" | "sha256";

/** RFC 2104 §2: bytes that these algorithms take at once. */
const blockLength = 64;
/** A datagram of TURN fits; what is longer gets room of its own. */
const scratch = new Uint8Array(blockLength + 2048);

const writeText = Buffer.prototype.latin1Write as (this: Uint8Array, text: string, offset: number) => number;

function digest(algorithm: Algorithm, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(lengths[algorithm]);
  writeText.call(out, hash(algorithm, data, "binary"), 0);
  return out;
}

/** RFC 2104 §2: what is hashed before the data, and before the hash of both. */
class Pads {
  readonly inner: Uint8Array;
  readonly outer: Uint8Array;

  constructor(algorithm: HmacAlgorithm, key: Uint8Array) {
    const block = new Uint8Array(blockLength);
    block.set(key.length > blockLength ? digest(algorithm, key) : key);
    this.inner = block.map((byte) => byte ^ 0x36);
    this.outer = block.map((byte) => byte ^ 0x5c);
  }
}

class ImportedKey {
  readonly #bytes: Uint8Array;
  /** A key is used with one algorithm, nearly always. */
  readonly #pads: Partial<Record<HmacAlgorithm, Pads>> = {};

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.slice();
  }

  sign(algorithm: HmacAlgorithm, data: Uint8Array): Uint8Array {
    const { inner, outer } = (this.#pads[algorithm] ??= new Pads(algorithm, this.#bytes));
    const length = blockLength + data.length;
    const room = length <= scratch.length ? scratch : new Uint8Array(length);
    room.set(inner);
    room.set(data, blockLength);
    const hashed = hash(algorithm, room.subarray(0, length), "binary");
    room.set(outer);
    const end = blockLength + writeText.call(room, hashed, blockLength);
    return digest(algorithm, room.subarray(0, end));
  }
}

export const nodeCrypto: Crypto = {
  md5: (data) => digest("md5", data),
  sha256: (data) => digest("sha256", data),
  hashText: (algorithm, text) => hash(algorithm, Buffer.from(text, "latin1"), "hex"),
  importKey: (bytes) => new ImportedKey(bytes) as HmacKey,
  hmacSha1: (key, data) => (key as ImportedKey).sign("sha1", data),
  hmacSha256: (key, data) => (key as ImportedKey).sign("sha256", data),
};
