/**
 * A ring of packets in shared memory, from one thread to one other: a writer and a reader, bounded, without locks. Each
 * packet is one piece of memory, behind a header that says where it came from and goes to; what does not fit in front of the
 * end begins at the beginning. Positions only grow, and wrap at 2^32.
 *
 * Either side may die at any time, and another take its place. What a writer had begun is not there, because a packet counts
 * once the tail is beyond it; what a reader had not read is gone, because its successor begins at the tail.
 */
import { type Address, blankAddress } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";

/** Room for packets, in bytes: 20 ms of 20,000 large ones a second, or seven of the longest. A power of two. */
const capacity = 1 << 19;
const mask = capacity - 1;

/** Of the shared memory in 32-bit words, a cache line each. */
const HEAD = 0;
const TAIL = 16;
/** 1: the reader waits to be woken. */
const WAITS = 32;
const dataAt = 256;

/** In front of each packet, in 32-bit words: length, family, both ports, both addresses, and its `IpFields`. */
const FAMILY = 1;
const PORTS = 2;
const SOURCE = 3;
const DESTINATION = 7;
const FIELDS = 11;
const headerLength = 48;

/** In place of a length: the next packet is at the beginning. */
const SKIP = -1;

/** Copied byte by byte: a view costs more. */
const shortLength = 256;

export function createPacketRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(dataAt + capacity);
}

function sizeOf(length: number): number {
  return (headerLength + length + 7) & ~7;
}

class RingMemory {
  protected readonly positions: Int32Array;
  protected readonly words: Int32Array;
  /** What packets' bytes are in. */
  readonly bytes: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.positions = new Int32Array(memory, 0, dataAt / 4);
    this.words = new Int32Array(memory, dataAt);
    this.bytes = new Uint8Array(memory, dataAt);
  }

  protected position(which: typeof HEAD | typeof TAIL): number {
    return Atomics.load(this.positions, which) >>> 0;
  }
}

export class RingWriter extends RingMemory {
  #tail: number = this.position(TAIL);

  /** False, and nothing is written, where there is no room. Nobody is woken by this. Both addresses are of one family. */
  write(
    data: Uint8Array,
    offset: number,
    length: number,
    from: Readonly<Address>,
    to: Readonly<Address>,
    fields: IpFields,
  ): boolean {
    const size = sizeOf(length);
    const at = this.#tail & mask;
    const skipped = size <= capacity - at ? 0 : capacity - at;
    if (this.used + skipped + size > capacity) return false;
    if (skipped > 0) this.words[at >> 2] = SKIP;
    this.#put(skipped > 0 ? 0 : at, data, offset, length, from, to, fields);
    this.#tail = (this.#tail + skipped + size) >>> 0;
    Atomics.store(this.positions, TAIL, this.#tail);
    return true;
  }

  /** Bytes that the reader has not read. */
  get used(): number {
    return (this.#tail - this.position(HEAD)) >>> 0;
  }

  /** Whether the reader is to be woken, which is said to one who asks. */
  takeWaiting(): boolean {
    return Atomics.load(this.positions, WAITS) === 1 && Atomics.exchange(this.positions, WAITS, 0) === 1;
  }

  #put(
    at: number,
    data: Uint8Array,
    offset: number,
    length: number,
    from: Readonly<Address>,
    to: Readonly<Address>,
    fields: IpFields,
  ): void {
    const { words, bytes } = this;
    const word = at >> 2;
    words[word] = length;
    words[word + FAMILY] = from.family;
    words[word + PORTS] = (from.port << 16) | to.port;
    putIp(words, word + SOURCE, from);
    putIp(words, word + DESTINATION, to);
    words[word + FIELDS] = fields;
    const start = at + headerLength;
    if (length <= shortLength) for (let i = 0; i < length; i++) bytes[start + i] = data[offset + i] as number;
    else bytes.set(data.subarray(offset, offset + length), start);
  }
}

/** What a packet is handed to: `bytes[offset, offset + length)`. All of it is borrowed. */
export type PacketSink = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  from: Readonly<Address>,
  to: Readonly<Address>,
  fields: IpFields,
) => void;

export class RingReader extends RingMemory {
  readonly #from: Address = blankAddress();
  readonly #to: Address = blankAddress();
  #head = 0;

  /** What is in the ring was for a reader that is gone. */
  constructor(memory: SharedArrayBuffer) {
    super(memory);
    this.#release(this.position(TAIL));
  }

  /** Hands up `most` packets at most; returns how many there were. */
  read(most: number, sink: PacketSink): number {
    let count = 0;
    while (count < most && this.#head !== this.position(TAIL)) {
      const size = this.#readOne(sink);
      this.#release((this.#head + size) >>> 0);
      count++;
    }
    return count;
  }

  /** Asks to be woken by the next packet; false where one is there already. */
  wait(): boolean {
    Atomics.store(this.positions, WAITS, 1);
    if (this.#head === this.position(TAIL)) return true;
    Atomics.store(this.positions, WAITS, 0);
    return false;
  }

  /** Returns what the packet has taken, with what was skipped in front of it. */
  #readOne(sink: PacketSink): number {
    const { words } = this;
    let at = this.#head & mask;
    let skipped = 0;
    if (words[at >> 2] === SKIP) {
      skipped = capacity - at;
      at = 0;
    }
    const word = at >> 2;
    const length = words[word] as number;
    const [from, to] = [this.#from, this.#to];
    const family = words[word + FAMILY] === 4 ? 4 : 6;
    const ports = words[word + PORTS] as number;
    takeIp(words, word + SOURCE, from, family, ports >>> 16);
    takeIp(words, word + DESTINATION, to, family, ports & 0xffff);
    sink(this.bytes, at + headerLength, length, from, to, words[word + FIELDS] as IpFields);
    return skipped + sizeOf(length);
  }

  #release(head: number): void {
    this.#head = head;
    Atomics.store(this.positions, HEAD, head);
  }
}

function putIp(words: Int32Array, word: number, address: Readonly<Address>): void {
  words[word] = address.w0;
  words[word + 1] = address.w1;
  words[word + 2] = address.w2;
  words[word + 3] = address.w3;
}

function takeIp(words: Int32Array, word: number, out: Address, family: 4 | 6, port: number): void {
  out.family = family;
  out.w0 = words[word] as number;
  out.w1 = words[word + 1] as number;
  out.w2 = words[word + 2] as number;
  out.w3 = words[word + 3] as number;
  out.port = port;
  out.text = "";
}
