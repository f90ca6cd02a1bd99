/**
 * Datagrams on their way out, handed to the kernel many at a time. An entry is one datagram: where its bytes are, whom it
 * is for, and perhaps four bytes of header in front. Entries of one socket form a chain; `compose` makes messages of a
 * chain, and consecutive entries for the same address, of the same length and with the same fields become one message that the
 * kernel cuts up again (UDP_SEGMENT), which costs it half. What a socket does by itself is not said with a message.
 */
import type { Address } from "../../core/base/address.ts";
import { hopLimitOf, type IpFields, trafficClassOf } from "../../core/base/ip-fields.ts";
import { CONTROL_ROOM, FIELD_KINDS } from "./ip-fields.ts";
import { CMSGHDR, IOVEC, IPPROTO_UDP, MMSGHDR, MSGHDR, SOCKADDR_IN, SOCKADDR_IN6, UDP_SEGMENT } from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { readSocketAddress, SOCKET_ADDRESS_ROOM, writeSocketAddress } from "./socket-address.ts";

export const HEADER_LENGTH = 4;

/** Ends a chain. */
export const NO_ENTRY = -1;

/** What the kernel takes for one message: UDP_MAX_SEGMENTS of its first version, and less than an IP packet holds. */
const maxSegments = 64;
const maxSegmentedBytes = 65_000;

const shortLength = 256;

/** Copied payloads between two `clear`: several of the longest. */
const copyRoom = 1 << 18;

export class SendBatch {
  readonly #capacity: number;
  readonly #libc: Libc = libc();
  readonly #lent: NativeMemory;
  readonly #names: NativeMemory;
  readonly #prefixes: NativeMemory;
  readonly #copies: NativeMemory = new NativeMemory("sent copies", copyRoom);
  readonly #vectors: NativeMemory;
  readonly #messages: NativeMemory;
  readonly #controls: NativeMemory;
  readonly #memories: readonly NativeMemory[];
  readonly #addresses: Float64Array;
  readonly #lengths: Int32Array;
  readonly #isCopied: Uint8Array;
  readonly #nameLengths: Uint8Array;
  readonly #fields: Int32Array;
  readonly #prefixed: Uint8Array;
  readonly #next: Int32Array;
  /** By message: its first entry. */
  readonly #firsts: Int32Array;
  readonly #merged: Uint8Array;
  #entries = 0;
  #copied = 0;

  /** `lent`: somebody else's memory, out of which datagrams are sent without being copied. */
  constructor(capacity: number, lent: NativeMemory) {
    this.#capacity = capacity;
    this.#lent = lent;
    this.#names = new NativeMemory("send to", capacity * SOCKET_ADDRESS_ROOM);
    this.#prefixes = new NativeMemory("sent headers", capacity * HEADER_LENGTH);
    this.#vectors = new NativeMemory("send vectors", 2 * capacity * IOVEC.size);
    this.#messages = new NativeMemory("send messages", capacity * MMSGHDR.size);
    this.#controls = new NativeMemory("send controls", capacity * CONTROL_ROOM);
    this.#memories = [this.#names, this.#prefixes, this.#copies, this.#vectors, this.#messages, this.#controls];
    this.#addresses = new Float64Array(capacity);
    this.#lengths = new Int32Array(capacity);
    this.#isCopied = new Uint8Array(capacity);
    this.#nameLengths = new Uint8Array(capacity);
    this.#fields = new Int32Array(capacity);
    this.#prefixed = new Uint8Array(capacity);
    this.#next = new Int32Array(capacity);
    this.#firsts = new Int32Array(capacity);
    this.#merged = new Uint8Array(capacity);
    for (let message = 0; message < capacity; message++) {
      const control = this.#controls.address + message * CONTROL_ROOM;
      this.#messages.putPointer(message * MMSGHDR.size + MSGHDR.control, control);
    }
  }

  /** Whether there is room for one more entry, with `copied` bytes to copy. */
  hasRoom(copied: number): boolean {
    return this.#entries < this.#capacity && this.#copied + copied <= copyRoom;
  }

  /** `length` bytes at byte `at` of the lent memory, which stay as they are until `clear`. Returns the entry. */
  add(at: number, length: number, to: Readonly<Address>, fields: IpFields): number {
    return this.#enter(this.#lent.address + at, length, to, fields, 0);
  }

  /** The same of bytes that are copied. */
  addCopy(data: Uint8Array, offset: number, length: number, to: Readonly<Address>, fields: IpFields): number {
    const at = this.#copied;
    const { bytes } = this.#copies;
    // A view costs more than to copy an answer byte by byte.
    if (length <= shortLength) for (let i = 0; i < length; i++) bytes[at + i] = data[offset + i] as number;
    else bytes.set(data.subarray(offset, offset + length), at);
    this.#copied += length;
    return this.#enter(this.#copies.address + at, length, to, fields, 1);
  }

  /** Gives an entry its header, of two 16-bit numbers in network order. */
  prefix(entry: number, first: number, second: number): void {
    const { bytes } = this.#prefixes;
    const at = entry * HEADER_LENGTH;
    bytes[at] = first >> 8;
    bytes[at + 1] = first;
    bytes[at + 2] = second >> 8;
    bytes[at + 3] = second;
    this.#prefixed[entry] = 1;
  }

  link(entry: number, next: number): void {
    this.#next[entry] = next;
  }

  nextOf(entry: number): number {
    return this.#next[entry] as number;
  }

  /** With its header. */
  lengthOf(entry: number): number {
    return (this.#lengths[entry] as number) + HEADER_LENGTH * (this.#prefixed[entry] as number);
  }

  fieldsOf(entry: number): IpFields {
    return this.#fields[entry] as number;
  }

  /**
   * Makes messages of the chain that begins with `entry`, merging what is `segmentLimit` bytes long at most. `usual`: what
   * the socket sets by itself; `systemHops`: the hop limit of what has none of its own.
   */
  compose(entry: number, segmentLimit: number, usual: IpFields, systemHops: number): number {
    let messages = 0;
    let vectors = 0;
    while (entry !== NO_ENTRY) {
      const from = vectors;
      const size = this.lengthOf(entry);
      let bytes = size;
      let segments = 1;
      this.#firsts[messages] = entry;
      vectors = this.#point(vectors, entry);
      let next = this.nextOf(entry);
      while (next !== NO_ENTRY && size <= segmentLimit && segments < maxSegments) {
        const length = this.lengthOf(next);
        // Only the last segment may be shorter; an empty one would vanish.
        if (length > size || length === 0 || bytes + length > maxSegmentedBytes) break;
        if (this.#fields[next] !== this.#fields[entry] || !this.#sameDestination(entry, next)) break;
        vectors = this.#point(vectors, next);
        bytes += length;
        segments++;
        next = this.nextOf(next);
        if (length < size) break;
      }
      this.#merged[messages] = segments > 1 ? 1 : 0;
      let control = segments > 1 ? this.#control(messages, 0, IPPROTO_UDP, UDP_SEGMENT, 2, size) : 0;
      if (this.#fields[entry] !== usual) control = this.#layOutFields(messages, entry, control, usual, systemHops);
      this.#layOutMessage(messages++, entry, from, vectors - from, control);
      entry = next;
    }
    return messages;
  }

  /** Hands messages to the kernel; returns how many it took, or minus errno when it refused the first. */
  send(socket: number, message: number, count: number): number {
    return this.#libc.sendmmsg(socket, this.#messages.address + message * MMSGHDR.size, count, 0);
  }

  /** Hands the one entry of a chain to the kernel, when it has no header; returns 1, or minus errno. */
  sendOne(socket: number, entry: number): number {
    const name = this.#names.address + entry * SOCKET_ADDRESS_ROOM;
    const length = this.#lengths[entry] as number;
    const nameLength = this.#nameLengths[entry] as number;
    const sent = this.#libc.sendto(socket, this.#addresses[entry] as number, length, 0, name, nameLength);
    return sent < 0 ? sent : 1;
  }

  hasHeader(entry: number): boolean {
    return this.#prefixed[entry] === 1;
  }

  firstOf(message: number): number {
    return this.#firsts[message] as number;
  }

  /** Whether a message holds several entries. */
  isMerged(message: number): boolean {
    return this.#merged[message] === 1;
  }

  /** An entry's bytes, header included, as a copy. */
  copyOf(entry: number): Uint8Array {
    const length = this.#lengths[entry] as number;
    const whole = new Uint8Array(this.lengthOf(entry));
    const prefix = entry * HEADER_LENGTH;
    if (this.#prefixed[entry] === 1) whole.set(this.#prefixes.bytes.subarray(prefix, prefix + HEADER_LENGTH));
    const memory = this.#isCopied[entry] === 1 ? this.#copies : this.#lent;
    const at = (this.#addresses[entry] as number) - memory.address;
    whole.set(memory.bytes.subarray(at, at + length), whole.length - length);
    return whole;
  }

  /** Whom an entry is for, into `out`. */
  destinationOf(entry: number, out: Address): void {
    readSocketAddress(this.#names, entry * SOCKET_ADDRESS_ROOM, out);
  }

  /** Every entry has been dealt with. */
  clear(): void {
    this.#entries = 0;
    this.#copied = 0;
  }

  release(): void {
    for (const memory of this.#memories) memory.release();
  }

  #enter(address: number, length: number, to: Readonly<Address>, fields: IpFields, isCopied: 0 | 1): number {
    const entry = this.#entries++;
    this.#addresses[entry] = address;
    this.#lengths[entry] = length;
    this.#isCopied[entry] = isCopied;
    this.#fields[entry] = fields;
    this.#prefixed[entry] = 0;
    this.#next[entry] = NO_ENTRY;
    this.#nameLengths[entry] = writeSocketAddress(this.#names, entry * SOCKET_ADDRESS_ROOM, to);
    return entry;
  }

  /** Points the vectors from `vector` on at an entry's bytes; returns the next free one. */
  #point(vector: number, entry: number): number {
    const vectors = this.#vectors;
    let at = vector * IOVEC.size;
    if (this.#prefixed[entry] === 1) {
      vectors.putPointer(at + IOVEC.base, this.#prefixes.address + entry * HEADER_LENGTH);
      vectors.u32[(at + IOVEC.length) >> 2] = HEADER_LENGTH;
      at += IOVEC.size;
    }
    vectors.putPointer(at + IOVEC.base, this.#addresses[entry] as number);
    vectors.u32[(at + IOVEC.length) >> 2] = this.#lengths[entry] as number;
    return at / IOVEC.size + 1;
  }

  #layOutMessage(message: number, entry: number, vector: number, vectors: number, control: number): void {
    const messages = this.#messages;
    const at = message * MMSGHDR.size;
    messages.putPointer(at + MSGHDR.name, this.#names.address + entry * SOCKET_ADDRESS_ROOM);
    messages.u32[(at + MSGHDR.nameLength) >> 2] = this.#nameLengths[entry] as number;
    messages.putPointer(at + MSGHDR.vectors, this.#vectors.address + vector * IOVEC.size);
    messages.u32[(at + MSGHDR.vectorCount) >> 2] = vectors;
    messages.u32[(at + MSGHDR.controlLength) >> 2] = control;
  }

  /** What of an entry's fields is not usual goes behind `offset` bytes of control messages; returns the end of them. */
  #layOutFields(message: number, entry: number, offset: number, usual: IpFields, systemHops: number): number {
    const fields = this.#fields[entry] as number;
    const kinds = FIELD_KINDS[this.#nameLengths[entry] === SOCKADDR_IN.size ? 4 : 6];
    const trafficClass = trafficClassOf(fields);
    const hops = hopLimitOf(fields);
    let end = offset;
    if (trafficClass !== trafficClassOf(usual))
      end = this.#control(message, end, kinds.level, kinds.trafficClass, 4, trafficClass);
    if (hops !== hopLimitOf(usual))
      end = this.#control(message, end, kinds.level, kinds.hopLimit, 4, hops === 0 ? systemHops : hops);
    return end;
  }

  /** Writes one control message of a number that is `size` bytes long; returns where the next one goes. */
  #control(message: number, offset: number, level: number, kind: number, size: 2 | 4, value: number): number {
    const { u32 } = this.#controls;
    const at = message * CONTROL_ROOM + offset;
    u32[(at + CMSGHDR.length) >> 2] = CMSGHDR.size + size;
    u32[(at + CMSGHDR.level) >> 2] = level;
    u32[(at + CMSGHDR.type) >> 2] = kind;
    u32[(at + CMSGHDR.data) >> 2] = value;
    return offset + CMSGHDR.space;
  }

  #sameDestination(a: number, b: number): boolean {
    const { u32 } = this.#names;
    if (this.#nameLengths[b] !== this.#nameLengths[a]) return false;
    // What follows an IPv4 address is padding, which nobody writes.
    const words = this.#nameLengths[a] === SOCKADDR_IN.size ? 2 : SOCKADDR_IN6.size / 4;
    let i = (a * SOCKET_ADDRESS_ROOM) >> 2;
    let j = (b * SOCKET_ADDRESS_ROOM) >> 2;
    for (let k = 0; k < words; k++) if (u32[i++] !== u32[j++]) return false;
    return true;
  }
}
