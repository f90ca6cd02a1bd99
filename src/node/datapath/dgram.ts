/**
 * The datapath that runs wherever Node does, and the reference for the others: one `node:dgram` socket per local
 * address. It allocates nothing per packet beyond what dgram itself does.
 */
import type { Address } from "../../core/base/address.ts";
import type { MediaFlow } from "../../core/relay/media-flow.ts";
import type { Flow } from "../../core/turn/server/flow.ts";
import {
  createDatapathStats,
  type DatagramSink,
  type Datapath,
  type DatapathStats,
  type SocketId,
  type SocketPurpose,
} from "./datapath.ts";
import { DgramSocket } from "./dgram-socket.ts";
import { isWildcard, wildcardFailure } from "./wildcard.ts";

export class DgramDatapath implements Datapath {
  // DEVIATES RFC 8656 §14: Node tells neither traffic class nor hop limit, and cannot say them of one datagram: the
  // alternate behavior, best effort, Not-ECT, and the hop limit of the system.
  readonly carriesFields = false;
  readonly #stats = createDatapathStats();
  readonly #sockets: (DgramSocket | undefined)[] = [];
  readonly #free: SocketId[] = [];
  /** Sockets whose sinks have not heard yet how binding ended. */
  #opening: DgramSocket[] = [];
  readonly #closing = new Set<Promise<void>>();

  get stats(): Readonly<DatapathStats> {
    return this.#stats;
  }

  bind(address: Readonly<Address>, purpose: SocketPurpose, sink: DatagramSink): SocketId {
    if (isWildcard(address)) throw wildcardFailure(address);
    const id = this.#free.pop() ?? this.#sockets.length;
    const socket = new DgramSocket(id, address, purpose, sink, this.#stats);
    this.#sockets[id] = socket;
    if (this.#opening.push(socket) === 1) queueMicrotask(() => this.#finishBinds());
    return id;
  }

  release(id: SocketId): void {
    const socket = this.#sockets[id];
    if (socket === undefined) return;
    this.#forget(id);
    const closed = socket.close().then(() => {
      this.#closing.delete(closed);
    });
    this.#closing.add(closed);
  }

  send(id: SocketId, data: Uint8Array, offset: number, length: number, to: Readonly<Address>): boolean {
    const socket = this.#sockets[id];
    return socket?.isOpen === true ? socket.send(data, offset, length, to) : this.#dropClosed();
  }

  /** Sends one whole datagram that goes `hopLimit` hops (1 to 255) at most; others go as many as ever. */
  sendWithin(hopLimit: number, id: SocketId, data: Uint8Array, to: Readonly<Address>): boolean {
    const socket = this.#sockets[id];
    return socket?.isOpen === true ? socket.sendWithin(hopLimit, data, to) : this.#dropClosed();
  }

  sendChannelData(
    id: SocketId,
    channel: number,
    data: Uint8Array,
    offset: number,
    length: number,
    to: Readonly<Address>,
  ): boolean {
    const socket = this.#sockets[id];
    return socket?.isOpen === true ? socket.sendChannelData(channel, data, offset, length, to) : this.#dropClosed();
  }

  /** Every packet comes up. */
  offload(_flow: Flow, _client: SocketId, _other: SocketId): void {}

  offloadMedia(_flow: MediaFlow, _arrival: SocketId, _departure: SocketId): void {}

  withdraw(_flow: Flow | MediaFlow): void {}

  async close(): Promise<void> {
    for (const id of this.#sockets.keys()) this.release(id);
    await Promise.all(this.#closing);
  }

  #finishBinds(): void {
    const opening = this.#opening;
    this.#opening = [];
    for (const socket of opening) {
      // First, because the sink may bind again, or release, from inside the call.
      if (socket.hasFailed) this.#forget(socket.id);
      socket.finishBind();
    }
  }

  #forget(id: SocketId): void {
    this.#sockets[id] = undefined;
    this.#free.push(id);
  }

  #dropClosed(): boolean {
    this.#stats.drops.closed++;
    return false;
  }
}
