/**
 * Two ends tell each other one text each, over datagrams that may be lost, doubled and reordered. Who opens knows where
 * the other end is, and repeats until that has everything; who does not waits to be spoken to, and from then on does the
 * same. The first end that comes is the one: others are refused.
 *
 * It has no end of its own. Even when both texts are there it answers repetitions, as long as it is driven.
 */
import { type Address, copyAddress } from "../base/address.ts";
import { concatBytes } from "../base/bytes.ts";
import { PosternError } from "../base/failure.ts";
import { after, type Instant, type Machine } from "../base/machine.ts";
import { OutputQueue } from "../base/output-queue.ts";
import type { Random } from "../base/ports.ts";
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import {
  decodeFrame,
  type EndId,
  encodeFrame,
  type Frame,
  formatId,
  ID_BYTES,
  MOST_PARTS,
  PART_BYTES,
} from "./frames.ts";

export type ExchangeOutput =
  | { readonly kind: "send"; readonly to: Readonly<Address>; readonly frame: Uint8Array }
  /** The other end's text. */
  | { readonly kind: "text"; readonly text: string }
  /** The other end's text is here, and ours is there. */
  | { readonly kind: "done" }
  /** The other end has met somebody else. */
  | { readonly kind: "refused" };

const FIRST_REPETITION_MS = 200;
const LONGEST_PAUSE_MS = 1_000;

export class TextExchange implements Machine<ExchangeOutput> {
  readonly #outputs = new OutputQueue<ExchangeOutput>();
  readonly #id: EndId;
  readonly #parts: readonly Uint8Array[];
  /** A bit for each of our parts that the other end has. */
  #there = 0;
  #peer: EndId | undefined;
  #address: Readonly<Address> | undefined;
  #received: (Uint8Array | undefined)[] = [];
  #isHeard = false;
  #isDone = false;
  #isRefused = false;
  #pause = FIRST_REPETITION_MS;
  #repeatAt: Instant | undefined;

  /** Throws `PosternError` `text-too-long`: 16 parts of 1,000 bytes are the most. */
  constructor(text: string, random: Random) {
    const bytes = encodeUtf8(text);
    if (bytes.length > MOST_PARTS * PART_BYTES) {
      throw new PosternError("text-too-long", `A text of ${bytes.length} bytes cannot be exchanged.`);
    }
    this.#id = formatId(random.bytes(ID_BYTES));
    const count = Math.max(1, Math.ceil(bytes.length / PART_BYTES));
    this.#parts = Array.from({ length: count }, (_, i) => bytes.slice(i * PART_BYTES, (i + 1) * PART_BYTES));
  }

  /** Speaks first, to the end that is there. */
  open(address: Readonly<Address>, now: Instant): void {
    this.#address = copyAddress(address);
    this.#send(now);
  }

  /** What was unsealed: it is the other end's, unless it is a repetition or somebody else has the secret too. */
  handleFrame(bytes: Uint8Array, from: Readonly<Address>, now: Instant): void {
    const frame = decodeFrame(bytes);
    if (frame === undefined || frame.from === this.#id || this.#isRefused) return;
    if (frame.kind !== "part" && frame.to !== this.#id) return;
    if (frame.kind === "refuse") {
      if (this.#peer === undefined) this.#refuse();
      return;
    }
    if (this.#peer !== undefined && this.#peer !== frame.from) {
      this.#outputs.push(this.#sendTo(from, { kind: "refuse", from: this.#id, to: frame.from }));
      return;
    }
    this.#peer = frame.from;
    // A relay that was lost is another address afterwards.
    this.#address = copyAddress(from);
    if (frame.kind === "ack") this.#there |= frame.parts & allOf(this.#parts.length);
    else this.#take(frame, now);
    this.#conclude();
  }

  pollOutput(): ExchangeOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#repeatAt;
  }

  handleTimeout(now: Instant): void {
    if (this.#repeatAt === undefined || now < this.#repeatAt) return;
    this.#pause = Math.min(LONGEST_PAUSE_MS, 2 * this.#pause);
    this.#send(now);
  }

  #take(part: Extract<Frame, { kind: "part" }>, now: Instant): void {
    if (this.#received.length === 0) this.#received = Array.from({ length: part.count }, () => undefined);
    if (this.#received.length !== part.count) return;
    this.#received[part.index] ??= part.data;
    const parts = this.#received.reduce((bits, one, i) => (one === undefined ? bits : bits | (1 << i)), 0);
    this.#outputs.push(this.#sendTo(this.#address, { kind: "ack", from: this.#id, to: part.from, parts }));
    if (this.#repeatAt === undefined) this.#send(now);
    if (this.#isHeard || parts !== allOf(part.count)) return;
    this.#isHeard = true;
    const text = decodeUtf8(concatBytes(...(this.#received as Uint8Array[])));
    if (text !== undefined) this.#outputs.push({ kind: "text", text });
  }

  /** All that has not come yet, and the same again later. */
  #send(now: Instant): void {
    this.#repeatAt = undefined;
    if (this.#there === allOf(this.#parts.length)) return;
    for (const [index, data] of this.#parts.entries()) {
      if ((this.#there >> index) & 1) continue;
      const frame = { kind: "part", from: this.#id, index, count: this.#parts.length, data } as const;
      this.#outputs.push(this.#sendTo(this.#address, frame));
    }
    this.#repeatAt = after(now, this.#pause);
  }

  #conclude(): void {
    if (this.#there === allOf(this.#parts.length)) this.#repeatAt = undefined;
    if (this.#isDone || !this.#isHeard || this.#repeatAt !== undefined) return;
    this.#isDone = true;
    this.#outputs.push({ kind: "done" });
  }

  #refuse(): void {
    this.#isRefused = true;
    this.#repeatAt = undefined;
    this.#outputs.push({ kind: "refused" });
  }

  #sendTo(to: Readonly<Address> | undefined, frame: Frame): ExchangeOutput {
    return { kind: "send", to: to as Readonly<Address>, frame: encodeFrame(frame) };
  }
}

function allOf(count: number): number {
  return (1 << count) - 1;
}
