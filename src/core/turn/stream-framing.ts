/**
 * Frames on TCP and TLS (RFC 8656 §12.5 and RFC 8489 §6.2.2): a STUN message carries its own length, and ChannelData is
 * padded to four bytes. There is no other framing around them. The framer copies only what arrives in pieces.
 */
import { readU16 } from "../base/bytes.ts";
import { HEADER_LENGTH, MAGIC_COOKIE } from "../stun/registry.ts";
import { CHANNEL_HEADER_LENGTH, looksLikeChannelData } from "./channel-data.ts";

/** The bytes are neither STUN nor ChannelData, or claim more than a frame may have: nothing after them can be trusted. */
export type FramingFailure = "not-a-frame" | "frame-too-long";

/** Bytes a whole frame needs: 0 when that cannot be told yet. */
function frameLength(b: Uint8Array, at: number, end: number): number | FramingFailure {
  const have = end - at;
  if (have < CHANNEL_HEADER_LENGTH) {
    return have > 0 && (b[at] as number) >= 0x80 ? "not-a-frame" : 0;
  }
  if (looksLikeChannelData(b[at] as number)) return CHANNEL_HEADER_LENGTH + ((readU16(b, at + 2) + 3) & ~3);
  const length = readU16(b, at + 2);
  if ((b[at] as number) >= 0x40 || length % 4 !== 0) return "not-a-frame";
  if (have >= 8 && readU16(b, at + 4) * 0x10000 + readU16(b, at + 6) !== MAGIC_COOKIE) return "not-a-frame";
  return HEADER_LENGTH + length;
}

export class StreamFramer {
  readonly #maxFrame: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;
  /** Set once the stream is beyond repair; every later call returns undefined. */
  failure: FramingFailure | undefined;

  /** `maxFrame`: the longest frame accepted, in bytes. */
  constructor(maxFrame: number) {
    this.#maxFrame = maxFrame;
  }

  /** Bytes of an unfinished frame, which a slow-loris limit watches. */
  get pending(): number {
    return this.#end - this.#start;
  }

  /**
   * Takes what the stream delivered. The bytes may be kept until they are framed, so they must not be reused. A frame
   * that arrives in pieces is collected in a buffer that doubles: each byte is copied a bounded number of times.
   */
  push(chunk: Uint8Array): void {
    if (this.failure !== undefined || chunk.length === 0) return;
    const rest = this.#end - this.#start;
    if (rest === 0) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    const needed = rest + chunk.length;
    // A chunk has no room behind its end: only the framer's own buffers are ever written to.
    if (this.#end + chunk.length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, Math.min(needed * 2, this.#maxFrame)));
      larger.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = larger;
      this.#start = 0;
      this.#end = rest;
    }
    // Only bytes that no frame has been cut from are written, so frames stay as they were handed out.
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole frame, padding included, or undefined until more arrives or after a failure. */
  next(): Uint8Array | undefined {
    if (this.failure !== undefined) return undefined;
    const length = frameLength(this.#buffer, this.#start, this.#end);
    if (typeof length === "string" || length > this.#maxFrame) {
      this.failure = typeof length === "string" ? length : "frame-too-long";
      this.#start = this.#end = 0;
      return undefined;
    }
    if (length === 0 || length > this.#end - this.#start) return undefined;
    const frame = this.#buffer.subarray(this.#start, this.#start + length);
    this.#start += length;
    return frame;
  }
}
