/**
 * What leaves by the sockets of the `mmsg` datapath. Datagrams collect until `flush`, which hands those of one socket to
 * the kernel together; what it has no room for waits in the socket's queue, and then so does everything behind it.
 */
import { constants } from "node:os";
import { type Address, blankAddress, copyAddress } from "../../core/base/address.ts";
import { DONT_FRAGMENT, type IpFields } from "../../core/base/ip-fields.ts";
import type { ReceiveBatch } from "../sys/receive-batch.ts";
import { HEADER_LENGTH, NO_ENTRY, SendBatch } from "../sys/send-batch.ts";
import { setFragmentation } from "../sys/udp-socket.ts";
import { type DatapathStats, MAX_PAYLOAD } from "./datapath.ts";
import type { MmsgSocket } from "./mmsg-socket.ts";
import { NOTHING_WAITS, SendQueue } from "./send-queue.ts";

const { EAGAIN, EINTR, EINVAL, EIO, EMSGSIZE } = constants.errno;

/** Entries that collect at most: those of two batches received. */
const capacity = 128;

/** No channel number is this. */
const NO_CHANNEL = -1;

/** Payloads that an Ethernet with and without tunnels carries whole; what the kernel would have to fragment it does not cut up. */
const segmentSteps = [1472, 1232, 0] as const;

export class Outbox {
  readonly #stats: DatapathStats;
  readonly #batch: SendBatch;
  /** Called when a socket begins, or ends, to wait for room. */
  readonly #onWaiting: (socket: MmsgSocket, isWaiting: boolean) => void;
  /** Sockets with a chain, each once, and behind them what former flushes have left: an array that is cut grows anew. */
  readonly #touched: MmsgSocket[] = [];
  #touchedCount = 0;
  readonly #destination: Address = blankAddress();
  #lentView: Uint8Array | undefined;
  #lentAt = 0;

  constructor(
    stats: DatapathStats,
    received: ReceiveBatch,
    onWaiting: (socket: MmsgSocket, isWaiting: boolean) => void,
  ) {
    this.#stats = stats;
    this.#batch = new SendBatch(capacity, received.data);
    this.#onWaiting = onWaiting;
  }

  /**
   * What is sent of `view`, which begins at byte `at` of the received data, is not copied: it stays until `flush`. Until
   * the next call; with undefined everything is copied.
   */
  lend(view: Uint8Array | undefined, at = 0): void {
    this.#lentView = view;
    this.#lentAt = at;
  }

  send(
    socket: MmsgSocket,
    data: Uint8Array,
    offset: number,
    length: number,
    to: Readonly<Address>,
    fields: IpFields,
  ): boolean {
    return this.#accept(socket, NO_CHANNEL, data, offset, length, length, to, fields & ~DONT_FRAGMENT);
  }

  /** The same of a datagram that nobody on its way may cut up; at once, because the socket has to be told so meanwhile. */
  sendWhole(
    socket: MmsgSocket,
    data: Uint8Array,
    offset: number,
    length: number,
    to: Readonly<Address>,
    fields: IpFields,
  ): boolean {
    const { drops } = this.#stats;
    if (!this.#isSendable(socket, length, to)) return false;
    this.flushSocket(socket);
    if (!this.#batch.hasRoom(length)) this.flush();
    // What waits leaves when the socket is as it always is.
    const entry = this.#batch.addCopy(data, offset, length, to, fields & ~DONT_FRAGMENT);
    const sent = socket.queue.isEmpty ? this.#sendWholeNow(socket, entry) : -EAGAIN;
    if (sent > 0) {
      this.#stats.packetsOut++;
      this.#stats.bytesOut += length;
    } else if (sent === -EAGAIN) drops["queue-full"]++;
    else if (sent === -EMSGSIZE) {
      drops["too-long"]++;
      socket.refusedPort = to.port;
    } else this.#stats.socketErrors++;
    return sent > 0;
  }

  #sendWholeNow({ descriptor, usual, systemHops }: MmsgSocket, entry: number): number {
    this.#batch.compose(entry, 0, usual, systemHops);
    setFragmentation(descriptor, false);
    let sent = this.#batch.send(descriptor, 0, 1);
    if (isRefusal(sent) && sent !== -EMSGSIZE) sent = this.#batch.send(descriptor, 0, 1);
    setFragmentation(descriptor, true);
    return sent;
  }

  sendChannelData(
    socket: MmsgSocket,
    channel: number,
    data: Uint8Array,
    offset: number,
    length: number,
    to: Readonly<Address>,
    fields: IpFields,
  ): boolean {
    return this.#accept(socket, channel, data, offset, length, length + HEADER_LENGTH, to, fields);
  }

  /** Hands everything that has collected to the kernel, or to the queues. */
  flush(): void {
    for (let i = 0; i < this.#touchedCount; i++) this.flushSocket(this.#touched[i] as MmsgSocket);
    this.#touchedCount = 0;
    this.#batch.clear();
  }

  /** The same of one socket. */
  flushSocket(socket: MmsgSocket): void {
    const { head } = socket;
    socket.head = NO_ENTRY;
    if (head !== NO_ENTRY) this.#transmit(socket, head);
  }

  /** Sends what waits, as far as there is room. */
  drain(socket: MmsgSocket): void {
    const { queue } = socket;
    for (let next = queue.first; next !== undefined; next = queue.first) {
      if (!this.#batch.hasRoom(next.data.length)) this.flush();
      const entry = this.#batch.addCopy(next.data, 0, next.data.length, next.to, next.fields);
      this.#batch.compose(entry, 0, socket.usual, socket.systemHops);
      const sent = this.#hand(socket, 0, 1);
      if (sent === -EAGAIN) return;
      if (sent < 0) this.#stats.socketErrors++;
      queue.shift();
    }
    socket.queue = NOTHING_WAITS;
    this.#onWaiting(socket, false);
  }

  release(): void {
    this.#batch.release();
  }

  #accept(
    socket: MmsgSocket,
    channel: number,
    data: Uint8Array,
    offset: number,
    length: number,
    whole: number,
    to: Readonly<Address>,
    fields: IpFields,
  ): boolean {
    if (!this.#isSendable(socket, whole, to)) return false;
    this.#stats.packetsOut++;
    this.#stats.bytesOut += whole;
    const batch = this.#batch;
    const isLent = data === this.#lentView;
    if (!batch.hasRoom(isLent ? 0 : length)) this.flush();
    const entry = isLent
      ? batch.add(this.#lentAt + offset, length, to, fields)
      : batch.addCopy(data, offset, length, to, fields);
    if (channel !== NO_CHANNEL) batch.prefix(entry, channel, length);
    if (!socket.queue.isEmpty) return this.#enqueue(socket, entry);
    if (socket.head === NO_ENTRY) {
      socket.head = entry;
      this.#touched[this.#touchedCount++] = socket;
    } else batch.link(socket.tail, entry);
    socket.tail = entry;
    return true;
  }

  /** Counts the drop when it is not. */
  #isSendable(socket: MmsgSocket, length: number, to: Readonly<Address>): boolean {
    const { drops } = this.#stats;
    if (to.port === 0 || to.family !== socket.family) {
      drops.unreachable++;
      return false;
    }
    if (length > MAX_PAYLOAD[socket.family]) {
      drops["too-long"]++;
      return false;
    }
    if (socket.queue.isEmpty || socket.queue.hasRoom(length)) return true;
    drops["queue-full"]++;
    return false;
  }

  #transmit(socket: MmsgSocket, head: number): void {
    const batch = this.#batch;
    const fields = batch.fieldsOf(head);
    socket.noteFields(fields);
    const { usual, systemHops } = socket;
    if (fields === usual && batch.nextOf(head) === NO_ENTRY && !batch.hasHeader(head))
      return this.#transmitOne(socket, head);
    let count = batch.compose(head, socket.segmentLimit, usual, systemHops);
    for (let message = 0; message < count; ) {
      const sent = this.#hand(socket, message, count - message);
      if (sent >= 0) message += sent;
      else if (sent === -EAGAIN) return void this.#enqueue(socket, batch.firstOf(message));
      else if (batch.isMerged(message) && (sent === -EINVAL || sent === -EMSGSIZE || sent === -EIO)) {
        // The way there is narrower than a segment, or the interface cannot do it: from here on smaller ones, or none.
        this.#lowerLimit(socket, sent === -EIO ? 0 : batch.lengthOf(batch.firstOf(message)));
        count = batch.compose(batch.firstOf(message), socket.segmentLimit, usual, systemHops);
        message = 0;
      } else if (sent !== -EINTR) {
        this.#stats.socketErrors++;
        message++;
      }
    }
  }

  #transmitOne(socket: MmsgSocket, entry: number): void {
    let sent = this.#batch.sendOne(socket.descriptor, entry);
    if (isRefusal(sent)) sent = this.#batch.sendOne(socket.descriptor, entry);
    while (sent === -EINTR) sent = this.#batch.sendOne(socket.descriptor, entry);
    if (sent === -EAGAIN) this.#enqueue(socket, entry);
    else if (sent < 0) this.#stats.socketErrors++;
  }

  /** How many the kernel took, or minus errno. */
  #hand({ descriptor }: MmsgSocket, message: number, count: number): number {
    const sent = this.#batch.send(descriptor, message, count);
    return isRefusal(sent) ? this.#batch.send(descriptor, message, count) : sent;
  }

  #lowerLimit(socket: MmsgSocket, refused: number): void {
    socket.segmentLimit = segmentSteps.find((step) => step < refused) ?? 0;
  }

  /** Whether there was room for the whole chain. */
  #enqueue(socket: MmsgSocket, head: number): boolean {
    let hadRoom = true;
    if (socket.queue.isEmpty) {
      socket.queue = new SendQueue();
      this.#onWaiting(socket, true);
    }
    const { queue } = socket;
    for (let entry = head; entry !== NO_ENTRY; entry = this.#batch.nextOf(entry)) {
      const length = this.#batch.lengthOf(entry);
      if (queue.hasRoom(length)) {
        this.#batch.destinationOf(entry, this.#destination);
        queue.push(this.#batch.copyOf(entry), copyAddress(this.#destination), this.#batch.fieldsOf(entry));
      } else {
        hadRoom = false;
        // It was counted when it was accepted.
        this.#stats.packetsOut--;
        this.#stats.bytesOut -= length;
        this.#stats.drops["queue-full"]++;
      }
    }
    return hadRoom;
  }
}

/** Where errors are kept, an ICMP message about an earlier datagram fails one call, which only has to be made again. */
function isRefusal(sent: number): boolean {
  return sent < 0 && sent !== -EAGAIN && sent !== -EINTR;
}
