/**
 * Hides what is in a record from who does not look hard: bytes are mixed with a sequence that anybody can compute who has
 * seen both hellos. THIS IS NO CRYPTOGRAPHY. It makes payloads as opaque to simulated middleboxes as TLS makes them to
 * real ones, and keeps runs the same.
 */
import { concatBytes, readU32 } from "../../core/base/bytes.ts";
import { SeededRandom } from "../seeded-random.ts";

/** As long as the tag of AES-GCM, so that records are as long as real ones. */
const TAG = 16;

/** One direction's records, in order. */
export class Veil {
  readonly #stream: SeededRandom;

  constructor(clientRandom: Uint8Array, serverRandom: Uint8Array, direction: number) {
    this.#stream = new SeededRandom((readU32(clientRandom, 0) ^ readU32(serverRandom, 0)) + direction);
  }

  /** RFC 8446 §5.2: content and, behind it, its type. */
  cover(content: Uint8Array, type: number): Uint8Array {
    const inner = concatBytes(content, Uint8Array.of(type));
    return concatBytes(this.#mix(inner), this.#stream.bytes(TAG));
  }

  /** Undefined when it was not covered by the other end of this, or something has changed it. */
  uncover(body: Uint8Array): { readonly content: Uint8Array; readonly type: number } | undefined {
    if (body.length <= TAG) return undefined;
    const inner = this.#mix(body.subarray(0, body.length - TAG));
    const tag = this.#stream.bytes(TAG);
    if (tag.some((byte, n) => byte !== body[body.length - TAG + n])) return undefined;
    return { content: inner.subarray(0, -1), type: inner.at(-1) as number };
  }

  #mix(bytes: Uint8Array): Uint8Array {
    return bytes.map((byte) => byte ^ this.#stream.u32());
  }
}
