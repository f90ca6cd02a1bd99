/**
 * One UDP socket of the `dgram` datapath. libuv tries a send at once; what the kernel has no room for waits in libuv's
 * queue, in order, and this socket bounds that queue.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { type Address, blankAddress, formatIp, parseIpInto } from "../../core/base/address.ts";
import { CHANNEL_HEADER_LENGTH, encodeChannelHeader } from "../../core/turn/channel-data.ts";
import { bindFailure } from "./bind-failure.ts";
import {
  type DatagramSink,
  type DatapathStats,
  MAX_PAYLOAD,
  RECEIVE_BUFFER,
  type SocketId,
  type SocketPurpose,
} from "./datapath.ts";

/** Datagrams that may wait for the kernel, and their bytes. */
const queuePackets = 256;
const queueBytes = 1 << 20;

/** RFC 1700: what systems begin with. It cannot be read from a socket. */
const defaultHopLimit = 64;

/** Node resolves every destination; ours are literals, so this answers at once and no name is ever looked up. */
function lookup(literal: string, family: unknown, done: (error: null, address: string, family: number) => void): void {
  done(null, literal, family as number);
}

/** The literal that Node wants, kept in the address for the next packet. */
function literal(to: Readonly<Address>): string {
  if (to.text === "") (to as Address).text = formatIp(to);
  return to.text;
}

export class DgramSocket {
  readonly id: SocketId;
  readonly #sink: DatagramSink;
  readonly #stats: DatapathStats;
  readonly #socket: Socket;
  readonly #from: Address = blankAddress();
  readonly #family: 4 | 6;
  readonly #purpose: SocketPurpose;
  #state: "opening" | "open" | "closed" = "opening";
  #failure: NodeJS.ErrnoException | undefined;
  /**
   * Headers that queued datagrams may still refer to. The queue is first in, first out and holds fewer than there are
   * headers, so the next one in turn is never in use.
   */
  #headers: Uint8Array[] = [];
  #nextHeader = 0;

  constructor(
    id: SocketId,
    address: Readonly<Address>,
    purpose: SocketPurpose,
    sink: DatagramSink,
    stats: DatapathStats,
  ) {
    this.id = id;
    this.#sink = sink;
    this.#stats = stats;
    this.#family = address.family;
    this.#purpose = purpose;
    // DEVIATES RFC 8656 §14: Node cannot say of a socket that DF be zero, so it is as the system has it.
    this.#socket = createSocket({
      type: address.family === 4 ? "udp4" : "udp6",
      ipv6Only: address.family === 6,
      lookup,
    });
    this.#socket.on("error", (error) => this.#handleError(error));
    // With a lookup that answers at once, Node binds, and reports, before this call returns.
    this.#socket.bind({ address: literal(address), port: address.port, exclusive: true });
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Whether binding is over, and in vain. */
  get hasFailed(): boolean {
    return this.#state === "opening" && this.#failure !== undefined;
  }

  /** Tells the sink how binding ended; nothing when the socket was released meanwhile. */
  finishBind(): void {
    if (this.#state === "closed") return;
    if (this.#failure === undefined) this.#open();
    else this.#fail(this.#failure);
  }

  send(data: Uint8Array, offset: number, length: number, to: Readonly<Address>): boolean {
    if (!this.#hasRoom(length, to)) return false;
    this.#socket.send(data, offset, length, to.port, literal(to));
    this.#stats.packetsOut++;
    this.#stats.bytesOut += length;
    return true;
  }

  sendWithin(hopLimit: number, data: Uint8Array, to: Readonly<Address>): boolean {
    // What waits in the queue would leave with the limit of that later moment.
    if (this.#socket.getSendQueueCount() > 0) {
      this.#stats.drops["queue-full"]++;
      return false;
    }
    this.#socket.setTTL(hopLimit);
    try {
      return this.send(data, 0, data.length, to);
    } finally {
      this.#socket.setTTL(defaultHopLimit);
    }
  }

  sendChannelData(channel: number, data: Uint8Array, offset: number, length: number, to: Readonly<Address>): boolean {
    if (!this.#hasRoom(length + CHANNEL_HEADER_LENGTH, to)) return false;
    const header = this.#takeHeader();
    encodeChannelHeader(header, 0, channel, length);
    const payload = length === data.length ? data : data.subarray(offset, offset + length);
    this.#socket.send([header, payload], to.port, literal(to));
    this.#stats.packetsOut++;
    this.#stats.bytesOut += length + CHANNEL_HEADER_LENGTH;
    return true;
  }

  /** Resolves when the descriptor is closed; at once when it is already. */
  close(): Promise<void> {
    if (this.#state === "closed") return Promise.resolve();
    if (this.#state === "open") this.#stats.sockets--;
    this.#state = "closed";
    return new Promise((done) => {
      this.#socket.close(done);
    });
  }

  #open(): void {
    this.#state = "open";
    this.#stats.sockets++;
    this.#sizeBuffer();
    this.#socket.on("message", (data, from) => this.#handleMessage(data, from));
    const { address, port } = this.#socket.address();
    const bound = blankAddress();
    parseIpInto(address, bound);
    bound.port = port;
    this.#sink.handleBound(this.id, bound);
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#state = "closed";
    this.#socket.close();
    const why = bindFailure(error);
    this.#stats.bindFailures[why]++;
    this.#sink.handleBindFailed(this.id, why, error);
  }

  /** Counts the drop when there is none. */
  #hasRoom(length: number, to: Readonly<Address>): boolean {
    const { drops } = this.#stats;
    if (to.port === 0 || to.family !== this.#family) {
      drops.unreachable++;
      return false;
    }
    if (length > MAX_PAYLOAD[this.#family]) {
      drops["too-long"]++;
      return false;
    }
    const queued = this.#socket.getSendQueueCount();
    if (queued === 0) return true;
    if (queued < queuePackets && this.#socket.getSendQueueSize() + length <= queueBytes) return true;
    drops["queue-full"]++;
    return false;
  }

  #takeHeader(): Uint8Array {
    // Made when a client is first sent ChannelData, so that relay sockets have none.
    if (this.#headers.length === 0) {
      this.#headers = Array.from({ length: queuePackets + 1 }, () => Buffer.alloc(CHANNEL_HEADER_LENGTH));
    }
    const header = this.#headers[this.#nextHeader] as Uint8Array;
    this.#nextHeader = (this.#nextHeader + 1) % this.#headers.length;
    return header;
  }

  #handleMessage(data: Uint8Array, { address, port }: RemoteInfo): void {
    this.#stats.packetsIn++;
    this.#stats.bytesIn += data.length;
    parseIpInto(address, this.#from);
    this.#from.port = port;
    this.#sink.handleDatagram(data, data.length, this.#from);
  }

  #handleError(error: NodeJS.ErrnoException): void {
    if (this.#state === "opening") this.#failure = error;
    else this.#stats.socketErrors++;
  }

  #sizeBuffer(): void {
    try {
      this.#socket.setRecvBufferSize(RECEIVE_BUFFER[this.#purpose === "relay" ? "relay" : "listener"]);
    } catch {
      // The socket works with what the system gives.
    }
  }
}
