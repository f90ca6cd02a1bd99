/**
 * Frames sealed with a secret that two ends share: nobody else can read, change or invent one. Each end has a key of its
 * own, so that what is reflected to its sender is nothing. What is repeated is for the reader to notice.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { FRAME_BYTES } from "../../core/rendezvous/frames.ts";

const algorithm = "chacha20-poly1305";
const keyBytes = 32;
/** Drawn at random: an exchange is some hundred frames, and 2^32 would be too many. */
const nonceBytes = 12;
const tagBytes = 16;
const tag = { authTagLength: tagBytes } as const;

export const SEALED_BYTES: number = nonceBytes + FRAME_BYTES + tagBytes;

export type End = "first" | "second";

export class Seal {
  readonly #own: Uint8Array;
  readonly #other: Uint8Array;

  constructor(secret: Uint8Array, end: End) {
    this.#own = keyOf(secret, end);
    this.#other = keyOf(secret, end === "first" ? "second" : "first");
  }

  seal(frame: Uint8Array): Uint8Array {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv(algorithm, this.#own, nonce, tag);
    return Buffer.concat([nonce, cipher.update(frame), cipher.final(), cipher.getAuthTag()]);
  }

  /** Undefined for what the other end has not sealed. */
  open(sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length <= nonceBytes + tagBytes || sealed.length > SEALED_BYTES) return undefined;
    const decipher = createDecipheriv(algorithm, this.#other, sealed.subarray(0, nonceBytes), tag);
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    } catch {
      return undefined;
    }
  }
}

function keyOf(secret: Uint8Array, end: End): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "postern peer 1", end, keyBytes));
}
