/** A UDP socket of the SIP edge: a datagram is a message, or is dropped for less than it costs to decode it. */
import { type Address, copyAddress } from "../../core/base/address.ts";
import type { BindFailure, DatagramSink, Datapath, SocketId } from "../datapath/datapath.ts";
import { listenerClosed, listenFailure } from "../net/listen-failure.ts";
import type { SipSink } from "./sink.ts";
import type { SipSocketStats } from "./stats.ts";

/** Far less than any message: a first line alone is longer. */
const keepAliveBytes = 8;

/** RFC 3261 §25.1: what a token, and so a message's first line, may begin with. */
const begins = Uint8Array.from({ length: 256 }, (_, c) => Number(/[\w\-.!%*+`'~]/.test(String.fromCharCode(c))));

export class SipUdpListener implements DatagramSink {
  readonly transport = "udp";
  address: Readonly<Address>;
  readonly #datapath: Datapath;
  readonly #sink: SipSink;
  readonly #stats: SipSocketStats;
  readonly #opened: PromiseWithResolvers<Readonly<Address>> = Promise.withResolvers();
  #socket: SocketId | undefined;

  constructor(address: Readonly<Address>, datapath: Datapath, sink: SipSink, stats: SipSocketStats) {
    this.address = address;
    this.#datapath = datapath;
    this.#sink = sink;
    this.#stats = stats;
  }

  /** Resolves with the address that was bound; rejects with `PosternError`, see `SipSockets.listen`. */
  open(): Promise<Readonly<Address>> {
    this.#socket = this.#datapath.bind(this.address, "listener", this);
    return this.#opened.promise;
  }

  /** What is still opening rejects. */
  close(): void {
    if (this.#socket !== undefined) this.#datapath.release(this.#socket);
    this.#socket = undefined;
    this.#opened.reject(listenerClosed());
  }

  /** False when it was dropped. */
  send(text: string, to: Readonly<Address>): boolean {
    const data = Buffer.from(text, "latin1");
    if (this.#socket === undefined || !this.#datapath.send(this.#socket, data, 0, data.length, to)) return false;
    const counts = this.#stats.messages.udp;
    counts.messagesOut++;
    counts.bytesOut += data.length;
    return true;
  }

  handleBound(_socket: SocketId, address: Readonly<Address>): void {
    this.address = address;
    this.#opened.resolve(address);
  }

  handleBindFailed(_socket: SocketId, _why: BindFailure, cause: Error): void {
    this.#socket = undefined;
    this.#opened.reject(listenFailure("udp", this.address, cause));
  }

  handleDatagram(data: Uint8Array, length: number, from: Readonly<Address>): void {
    if (length <= keepAliveBytes || isStun(data, length)) this.#stats.keepAlives++;
    else if (begins[data[0] as number] === 0) this.#stats.dropped.noise++;
    else {
      const counts = this.#stats.messages.udp;
      counts.messagesIn++;
      counts.bytesIn += length;
      const text = Buffer.prototype.latin1Slice.call(data, 0, length);
      this.#sink.handleMessage(text, {
        transport: "udp",
        local: this.address,
        remote: copyAddress(from),
        connection: 0,
      });
    }
  }
}

// DEVIATES RFC 5626 §8.1: keep-alives of STUN are not answered, because outbound, of which they are a part, is not offered.
function isStun(data: Uint8Array, length: number): boolean {
  if (length < 20 || (data[0] as number) > 1) return false;
  return data[4] === 0x21 && data[5] === 0x12 && data[6] === 0xa4 && data[7] === 0x42;
}
