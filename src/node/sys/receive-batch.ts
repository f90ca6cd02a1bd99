/**
 * Datagrams received many at a time. Each has a slot: its bytes, where it came from, how long it is, and with what it came.
 * All of it is laid out once, so that receiving makes nothing. Where the kernel merges (UDP_GRO), a slot holds several
 * datagrams of one sender, all of one length but the last.
 */
import type { Address } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";
import { CONTROL_ROOM } from "./ip-fields.ts";
import {
  CMSGHDR,
  IOVEC,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  MMSGHDR,
  MSGHDR,
  UDP_GRO,
} from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { readSocketAddress, SOCKET_ADDRESS_ROOM } from "./socket-address.ts";

/** More than a datagram can hold, and an odd number of cache lines, or the first lines of all slots would evict each other. */
const slotSize = 65_536 + 5 * 64;
const slotRoom = 65_536;

export class ReceiveBatch {
  readonly slots: number;
  readonly #libc: Libc = libc();
  /** Of all slots. */
  readonly data: NativeMemory;
  readonly #names: NativeMemory;
  readonly #headers: NativeMemory;
  readonly #controls: NativeMemory;
  readonly #views: readonly Uint8Array[];
  /** By slot: of merged datagrams, for as long as the next ones have the same length. */
  readonly #parts: { length: number; views: Uint8Array[] }[] = [];
  /** Of the slot whose fields were taken last: the length of each of its datagrams; 0 where there is one. */
  segment = 0;

  constructor(slots: number) {
    this.slots = slots;
    this.data = new NativeMemory("received data", slots * slotSize);
    this.#names = new NativeMemory("received from", slots * SOCKET_ADDRESS_ROOM);
    this.#headers = new NativeMemory("receive headers", slots * (MMSGHDR.size + IOVEC.size));
    this.#controls = new NativeMemory("receive controls", slots * CONTROL_ROOM);
    this.#views = Array.from({ length: slots }, (_, slot) =>
      this.data.bytes.subarray(slot * slotSize, slot * slotSize + slotRoom),
    );
    for (let slot = 0; slot < slots; slot++) this.#layOut(slot);
  }

  /**
   * Receives into `slot` and up to `count - 1` more; returns how many came, or minus errno. Never waits. `fields`: whether
   * `takeFields` will be asked.
   */
  receive(socket: number, slot: number, count: number, fields: boolean): number {
    if (count === 1) return fields ? this.#receiveOneWhole(socket, slot) : this.#receiveOne(socket, slot);
    return this.#libc.recvmmsg(socket, this.#headers.address + slot * MMSGHDR.size, count, 0, 0);
  }

  /** The slot's memory, of which the first `lengthOf(slot)` bytes were received. Always the same object. */
  bytesOf(slot: number): Uint8Array {
    return this.#views[slot] as Uint8Array;
  }

  /** The same of the `index`th of merged datagrams that are `length` bytes long. */
  partOf(slot: number, index: number, length: number): Uint8Array {
    const parts = (this.#parts[slot] ??= { length, views: [] });
    if (parts.length !== length) {
      parts.length = length;
      parts.views = [];
    }
    const begin = index * length;
    return (parts.views[index] ??= this.bytesOf(slot).subarray(begin, begin + length));
  }

  /** Where in `data` the slot begins. */
  offsetOf(slot: number): number {
    return slot * slotSize;
  }

  lengthOf(slot: number): number {
    return this.#headers.u32[(slot * MMSGHDR.size + MMSGHDR.length) >> 2] as number;
  }

  /** Says where the datagram in `slot` came from, once and last: the slot is ready for the next one then. */
  takeSource(slot: number, out: Address): void {
    readSocketAddress(this.#names, slot * SOCKET_ADDRESS_ROOM, out);
    const header = slot * MMSGHDR.size;
    // The kernel has written how long these are, for sockets that hear nothing too, and takes them for how much room there is.
    this.#headers.u32[(header + MSGHDR.nameLength) >> 2] = SOCKET_ADDRESS_ROOM;
    this.#headers.u32[(header + MSGHDR.controlLength) >> 2] = CONTROL_ROOM;
  }

  /** Says with what the datagram in `slot` came, where its socket hears that. */
  takeFields(slot: number): IpFields {
    const { bytes, u32 } = this.#controls;
    let at = slot * CONTROL_ROOM;
    const end = at + (this.#headers.u32[(slot * MMSGHDR.size + MSGHDR.controlLength) >> 2] as number);
    let fields = 0;
    this.segment = 0;
    for (; at < end; at += CMSGHDR.space) {
      const level = u32[(at + CMSGHDR.level) >> 2];
      const kind = u32[(at + CMSGHDR.type) >> 2];
      // One byte or four, the lowest first.
      const value = bytes[at + CMSGHDR.data] as number;
      if (level === IPPROTO_IP) {
        if (kind === IP_TTL) fields |= value << 8;
        else if (kind === IP_TOS) fields |= value;
      } else if (level === IPPROTO_IPV6) {
        if (kind === IPV6_HOPLIMIT) fields |= value << 8;
        else if (kind === IPV6_TCLASS) fields |= value;
      } else if (level === IPPROTO_UDP && kind === UDP_GRO) this.segment = u32[(at + CMSGHDR.data) >> 2] as number;
    }
    return fields;
  }

  release(): void {
    for (const memory of [this.data, this.#names, this.#headers, this.#controls]) memory.release();
  }

  #receiveOneWhole(socket: number, slot: number): number {
    const header = slot * MMSGHDR.size;
    const length = this.#libc.recvmsg(socket, this.#headers.address + header, 0);
    if (length < 0) return length;
    this.#headers.u32[(header + MMSGHDR.length) >> 2] = length;
    return 1;
  }

  /** The same, with less for the kernel to copy. */
  #receiveOne(socket: number, slot: number): number {
    const header = slot * MMSGHDR.size;
    const data = this.data.address + this.offsetOf(slot);
    const name = this.#names.address + slot * SOCKET_ADDRESS_ROOM;
    const nameLength = this.#headers.address + header + MSGHDR.nameLength;
    const length = this.#libc.recvfrom(socket, data, slotRoom, 0, name, nameLength);
    if (length < 0) return length;
    this.#headers.u32[(header + MMSGHDR.length) >> 2] = length;
    return 1;
  }

  #layOut(slot: number): void {
    const headers = this.#headers;
    const header = slot * MMSGHDR.size;
    const vector = this.slots * MMSGHDR.size + slot * IOVEC.size;
    headers.putPointer(header + MSGHDR.name, this.#names.address + slot * SOCKET_ADDRESS_ROOM);
    headers.u32[(header + MSGHDR.nameLength) >> 2] = SOCKET_ADDRESS_ROOM;
    headers.putPointer(header + MSGHDR.vectors, headers.address + vector);
    headers.u32[(header + MSGHDR.vectorCount) >> 2] = 1;
    headers.putPointer(header + MSGHDR.control, this.#controls.address + slot * CONTROL_ROOM);
    headers.u32[(header + MSGHDR.controlLength) >> 2] = CONTROL_ROOM;
    headers.putPointer(vector + IOVEC.base, this.data.address + this.offsetOf(slot));
    headers.u32[(vector + IOVEC.length) >> 2] = slotRoom;
  }
}
