/**
 * HMAC (RFC 2104), the faster way this host has: OpenSSL's own functions where they can be called, at less than half the
 * cost, and else Node's one-shot hash. The first use compares the two, once.
 */
import { hash } from "node:crypto";
import { KeyedHash } from "./sys/keyed-hash.ts";

export type HmacAlgorithm = "sha1" | "sha256";

/** RFC 2104 §2: bytes that these algorithms take at once. */
const blockLength = 64;
const lengths = { md5: 16, sha1: 20, sha256: 32 } as const;

const writeText = Buffer.prototype.latin1Write as (this: Uint8Array, text: string, offset: number) => number;

/** Hashes come as text and are written into bytes here: a buffer made outside of the JavaScript heap costs more. */
export function digest(algorithm: keyof typeof lengths, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(lengths[algorithm]);
  writeText.call(out, hash(algorithm, data, "binary"), 0);
  return out;
}

/** `State`: what a key alone decides. */
interface Hmac<State> {
  /** `key`: a block's length at most. */
  prepare(key: Uint8Array): State;
  sign(state: State, data: Uint8Array): Uint8Array;
}

/** By Node's one-shot hash: an object for each HMAC would cost twice as much, and more to collect. */
export class OneShotHmac implements Hmac<Uint8Array> {
  readonly #algorithm: HmacAlgorithm;
  /** A datagram of TURN fits; what is longer gets room of its own. */
  readonly #scratch: Uint8Array = new Uint8Array(blockLength + 2048);

  constructor(algorithm: HmacAlgorithm) {
    this.#algorithm = algorithm;
  }

  /** The inner and the outer pad. */
  prepare(key: Uint8Array): Uint8Array {
    const pads = new Uint8Array(2 * blockLength).fill(0x36, 0, blockLength).fill(0x5c, blockLength);
    for (const [i, byte] of key.entries()) {
      pads[i] = 0x36 ^ byte;
      pads[blockLength + i] = 0x5c ^ byte;
    }
    return pads;
  }

  sign(pads: Uint8Array, data: Uint8Array): Uint8Array {
    const length = blockLength + data.length;
    const room = length <= this.#scratch.length ? this.#scratch : new Uint8Array(length);
    room.set(pads.subarray(0, blockLength));
    room.set(data, blockLength);
    const hashed = hash(this.#algorithm, room.subarray(0, length), "binary");
    room.set(pads.subarray(blockLength));
    const end = blockLength + writeText.call(room, hashed, blockLength);
    return digest(this.#algorithm, room.subarray(0, end));
  }
}

/** OpenSSL's, when it is there and says the same as Node of a message that fills blocks unevenly. */
function createHmac(algorithm: HmacAlgorithm): Hmac<unknown> {
  const sure = new OneShotHmac(algorithm);
  try {
    const fast = new KeyedHash(algorithm);
    const [key, message] = [new Uint8Array(16).fill(7), new Uint8Array(175).fill(9)];
    const [mine, nodes] = [fast.sign(fast.prepare(key), message), sure.sign(sure.prepare(key), message)];
    return Buffer.compare(mine, nodes) === 0 ? fast : sure;
  } catch {
    return sure;
  }
}

const chosen: Partial<Record<HmacAlgorithm, Hmac<unknown>>> = {};

function hmac(algorithm: HmacAlgorithm): Hmac<unknown> {
  chosen[algorithm] ??= createHmac(algorithm);
  return chosen[algorithm];
}

export class ImportedKey {
  /** A character for each: every session has a key, and as an array it would take seven times as much. */
  readonly #bytes: string;
  // A key is used with one algorithm, nearly always.
  #sha1: unknown;
  #sha256: unknown;

  constructor(bytes: Uint8Array) {
    this.#bytes = String.fromCharCode(...bytes);
  }

  sha1(data: Uint8Array): Uint8Array {
    this.#sha1 ??= this.#prepare("sha1");
    return hmac("sha1").sign(this.#sha1, data);
  }

  sha256(data: Uint8Array): Uint8Array {
    this.#sha256 ??= this.#prepare("sha256");
    return hmac("sha256").sign(this.#sha256, data);
  }

  #prepare(algorithm: HmacAlgorithm): unknown {
    const key = new Uint8Array(this.#bytes.length);
    for (let i = 0; i < key.length; i++) key[i] = this.#bytes.charCodeAt(i);
    return hmac(algorithm).prepare(key.length > blockLength ? digest(algorithm, key) : key);
  }
}
