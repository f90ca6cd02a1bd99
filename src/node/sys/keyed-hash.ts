/**
 * HMAC by the hash functions of the OpenSSL that Node carries. Their state is plain memory, so what a key alone decides is
 * hashed once: from then on an HMAC is the message and one block more, and nothing is made for it but the result.
 *
 * OpenSSL has had these functions, and laid their states out like this, since its first version. Whoever uses them
 * compares one result with Node's own all the same, because nothing else promises it.
 */
import type { ForeignFunction } from "./foreign.ts";
import { availableForeign } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";

/** Bytes that both algorithms take at once. */
const blockLength = 64;
/** A datagram of TURN fits; what is longer is cut up. */
const dataRoom = 2_048;
/** More than any state takes. */
const stateRoom = 256;
const resultAt = stateRoom;
const dataAt = resultAt + blockLength;

/** In 32-bit words, of `SHA_CTX` and `SHA256_CTX`: the chaining value comes first, then the bits hashed so far. */
interface Layout {
  readonly chaining: number;
  readonly bitsLow: number;
  readonly bitsHigh: number;
  /** How many bytes wait in the block that is being filled. */
  readonly waiting: number;
  /** What the last word of `SHA256_CTX` says: the length of the result. */
  readonly resultLength: number | undefined;
  readonly length: number;
}
const layouts = {
  sha1: { chaining: 5, bitsLow: 5, bitsHigh: 6, waiting: 23, resultLength: undefined, length: 20 },
  sha256: { chaining: 8, bitsLow: 8, bitsHigh: 9, waiting: 26, resultLength: 27, length: 32 },
} as const satisfies Record<string, Layout>;

/**
 * What a key alone decides: the chaining values of the inner and of the outer hash, a character for each byte. Every session
 * has one, and as an array it would take four times as much.
 */
export type KeyedState = string;

export class KeyedHash {
  readonly #layout: Layout;
  readonly #memory: NativeMemory;
  readonly #init: ForeignFunction;
  readonly #update: ForeignFunction;
  readonly #final: ForeignFunction;

  /** Throws where there are no foreign functions, or no such function. */
  constructor(algorithm: "sha1" | "sha256") {
    const library = availableForeign().load(null);
    const name = algorithm.toUpperCase();
    this.#layout = layouts[algorithm];
    this.#init = library.func(`${name}_Init`, "int", ["uintptr_t"]);
    this.#update = library.func(`${name}_Update`, "int", ["uintptr_t", "uintptr_t", "size_t"]);
    this.#final = library.func(`${name}_Final`, "int", ["uintptr_t", "uintptr_t"]);
    this.#memory = new NativeMemory(`${algorithm} state`, dataAt + dataRoom);
  }

  /** RFC 2104 §2. `key`: a block's length at most. */
  prepare(key: Uint8Array): KeyedState {
    const { chaining } = this.#layout;
    const state: number[] = [];
    const pad = new Uint8Array(blockLength);
    for (const mask of [0x36, 0x5c]) {
      pad.fill(mask);
      for (let i = 0; i < key.length; i++) pad[i] = mask ^ (key[i] as number);
      this.#init(this.#memory.address);
      this.#hash(pad);
      for (let i = 0; i < 4 * chaining; i++) state.push(this.#memory.bytes[i] as number);
    }
    // What is left of the key.
    this.#memory.bytes.fill(0);
    return String.fromCharCode(...state);
  }

  /** The HMAC of `data` with the key of `state`. */
  sign(state: KeyedState, data: Uint8Array): Uint8Array {
    const { length } = this.#layout;
    const { address, bytes } = this.#memory;
    this.#resume(state, 0);
    this.#hash(data);
    this.#final(address + resultAt, address);
    this.#resume(state, 4 * this.#layout.chaining);
    this.#update(address, address + resultAt, length);
    this.#final(address + resultAt, address);
    return bytes.slice(resultAt, resultAt + length);
  }

  /** A state that has hashed one block, whose outcome is in `from` at `at`. */
  #resume(from: KeyedState, at: number): void {
    const { chaining, bitsLow, bitsHigh, waiting, resultLength, length } = this.#layout;
    const { bytes, u32 } = this.#memory;
    for (let i = 0; i < 4 * chaining; i++) bytes[i] = from.charCodeAt(at + i);
    u32[bitsLow] = blockLength * 8;
    u32[bitsHigh] = 0;
    u32[waiting] = 0;
    if (resultLength !== undefined) u32[resultLength] = length;
  }

  #hash(data: Uint8Array): void {
    const { address, bytes } = this.#memory;
    for (let from = 0; from < data.length; from += dataRoom) {
      const part = data.length <= dataRoom ? data : data.subarray(from, from + dataRoom);
      bytes.set(part, dataAt);
      this.#update(address, address + dataAt, part.length);
    }
  }
}
