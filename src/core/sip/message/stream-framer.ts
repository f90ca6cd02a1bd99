/**
 * Messages on TCP and TLS (RFC 3261 §18.3): each carries its body's length, and empty lines between them are keep-alives
 * (RFC 5626 §3.5.1). What does not keep to that cannot be followed any further, and the connection is to be closed.
 */
import { DIGIT, isAll, runEnd, skipSpace, TOKEN, trimEnd } from "./characters.ts";
import { canonicalName } from "./header-names.ts";
import { MAX_MESSAGE_LENGTH } from "./parse.ts";

export type StreamFailure = "no-content-length" | "bad-content-length" | "message-too-long" | "not-sip";

/** A keep-alive: `ping` wants a `pong`, "\r\n", back at once. */
export type StreamFrame = { readonly kind: "message"; readonly text: string } | typeof PING | typeof PONG;

const PING = { kind: "ping" } as const;
const PONG = { kind: "pong" } as const;

export class SipStreamFramer {
  #text = "";
  /** Pieces that came since: joined only when one of them may have ended something, so that each byte is moved once. */
  #pieces: string[] = [];
  #pieceLength = 0;
  /** The last bytes that came, in which the end of the fields may have begun. */
  #tail = "";
  #mayEnd = false;
  /** Of the message that begins `#text`, once its fields are there. */
  #needed = 0;
  /** A line break was told of as a pong; another one right behind it makes it a ping. */
  #isHalfPing = false;
  /** Set once the stream is beyond repair; every later call of `next` returns undefined. */
  failure: StreamFailure | undefined;

  /** Bytes of an unfinished message, which a slow-loris limit watches. */
  get pending(): number {
    return this.#text.length + this.#pieceLength;
  }

  /** Takes what the stream delivered, as a binary string. */
  push(chunk: string): void {
    if (this.failure !== undefined || chunk === "") return;
    const probe = this.#tail + chunk;
    this.#mayEnd ||= probe.includes(END_OF_FIELDS) || isLineBreak(this.#text === "" ? probe : this.#text);
    this.#tail = probe.slice(-3);
    this.#pieces.push(chunk);
    this.#pieceLength += chunk.length;
  }

  /** The next whole message or keep-alive; undefined until more arrives, or after a failure. */
  next(): StreamFrame | undefined {
    if (this.failure !== undefined || this.#needed > this.pending) return undefined;
    if (this.#needed === 0 && !this.#mayEnd) {
      if (this.pending > MAX_MESSAGE_LENGTH) this.failure = "message-too-long";
      return undefined;
    }
    this.#text += this.#pieces.join("");
    this.#pieces = [];
    this.#pieceLength = 0;
    if (this.#needed === 0) {
      const keepAlive = this.#keepAlive();
      if (keepAlive !== undefined) return keepAlive;
      this.#measure();
      if (this.#needed === 0 || this.#needed > this.#text.length) return undefined;
    }
    const text = this.#text.slice(0, this.#needed);
    this.#drop(this.#needed);
    this.#isHalfPing = false;
    return { kind: "message", text };
  }

  #drop(length: number): void {
    this.#text = this.#text.slice(length);
    this.#tail = this.#text.slice(-3);
    this.#mayEnd = this.#text !== "";
    this.#needed = 0;
  }

  // RFC 5626 §3.5.1: two line breaks are a ping, one is its answer. The halves of a ping may come apart: then the first
  // is told as an answer, which does no harm to who awaits none, and the second as the ping.
  #keepAlive(): StreamFrame | undefined {
    if (!this.#text.startsWith("\r\n")) return undefined;
    const isWhole = this.#text.startsWith(END_OF_FIELDS);
    const isPing = isWhole || this.#isHalfPing;
    this.#drop(isWhole && !this.#isHalfPing ? 4 : 2);
    this.#isHalfPing = !isPing;
    return isPing ? PING : PONG;
  }

  /** Finds how long the message is that `#text` begins with, when its fields are all there. */
  #measure(): void {
    const text = this.#text;
    this.#mayEnd = false;
    if (text === "" || text === "\r") return;
    if (text.charCodeAt(0) <= 0x20) {
      this.failure = "not-sip";
      return;
    }
    const end = text.indexOf(END_OF_FIELDS);
    if (end < 0) return;
    const length = contentLength(text, end + 2);
    if (typeof length === "string") this.failure = length;
    else if (end + 4 + length > MAX_MESSAGE_LENGTH) this.failure = "message-too-long";
    else this.#needed = end + 4 + length;
  }
}

const END_OF_FIELDS = "\r\n\r\n";

/** What no message begins with: a keep-alive, or noise. */
function isLineBreak(text: string): boolean {
  return text.charCodeAt(0) <= 0x20;
}

/** By the fields before `end`: two different readings of where a message ends are how one hides another. */
function contentLength(text: string, end: number): number | StreamFailure {
  let length: number | undefined;
  let at = text.indexOf("\r\n") + 2;
  while (at < end) {
    const lineEnd = text.indexOf("\r\n", at);
    const nameEnd = runEnd(text, at, lineEnd, TOKEN);
    if (canonicalName(text.slice(at, nameEnd)) === "content-length") {
      const colon = skipSpace(text, nameEnd, lineEnd);
      const value = foldedValue(text, colon + 1, end);
      if (length !== undefined || text[colon] !== ":" || !isAll(value, DIGIT)) return "bad-content-length";
      length = Number(value);
    }
    at = lineEnd + 2;
  }
  return length ?? "no-content-length";
}

/** The value up to the line that begins without space. */
function foldedValue(text: string, at: number, end: number): string {
  let lineEnd = text.indexOf("\r\n", at);
  while (lineEnd + 2 < end && (text.charCodeAt(lineEnd + 2) === 0x20 || text.charCodeAt(lineEnd + 2) === 0x09)) {
    lineEnd = text.indexOf("\r\n", lineEnd + 2);
  }
  const begin = skipSpace(text, at, lineEnd);
  return text.slice(begin, trimEnd(text, begin, lineEnd));
}
