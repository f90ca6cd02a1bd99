/**
 * The sockets of the `mmsg` datapath, by number: opened, taken over from somebody else, given away and closed. Whose socket it
 * is hears in a turn of its own how binding ended. Numbers are used again.
 */
import { type Address, copyAddress } from "../../core/base/address.ts";
import type { Epoll } from "../sys/epoll.ts";
import type { QueueGauge, SteeredPair } from "../sys/steering.ts";
import { localAddress } from "../sys/udp-socket.ts";
import { bindFailure } from "./bind-failure.ts";
import type { DatagramSink, DatapathStats, SocketId, SocketPurpose } from "./datapath.ts";
import { ReceiveLosses } from "./mmsg-losses.ts";
import { MmsgSocket } from "./mmsg-socket.ts";

export interface MmsgSocketsOptions {
  readonly epoll: Epoll;
  readonly gauge: QueueGauge;
  /** `sockets` and `bindFailures` are counted here. */
  readonly stats: DatapathStats;
  /** Sockets of listeners that are somebody else's, who has opened them and closes them; undefined where it is our own. */
  readonly inherited: (address: Readonly<Address>) => SteeredPair | undefined;
  /** Whether the kernel may hand over several datagrams as one from the beginning. */
  readonly isMerging: boolean;
  /** Sends what waits to leave by a socket that is about to go. */
  readonly flush: (socket: MmsgSocket) => void;
  /** The first socket has opened, or the last one has gone: whether the process must stay alive. */
  readonly hold: (isNeeded: boolean) => void;
}

interface Opening {
  readonly socket: MmsgSocket;
  /** Undefined where the system has chosen the port. */
  readonly asked: Address | undefined;
}

export class MmsgSockets {
  readonly #options: MmsgSocketsOptions;
  readonly #losses: ReceiveLosses;
  readonly #sockets: (MmsgSocket | undefined)[] = [];
  readonly #free: SocketId[] = [];
  /** Those whose sinks have not heard yet how binding ended. */
  #opening: Opening[] = [];

  constructor(options: MmsgSocketsOptions) {
    this.#options = options;
    this.#losses = new ReceiveLosses(options.gauge);
  }

  at(id: SocketId): MmsgSocket | undefined {
    return this.#sockets[id];
  }

  /** What the kernel had no room for, of all that were ever here. */
  get unreceived(): NonNullable<DatapathStats["unreceived"]> {
    return this.#losses.sum(this.#sockets);
  }

  bind(address: Readonly<Address>, purpose: SocketPurpose, sink: DatagramSink): SocketId {
    const { inherited, isMerging } = this.#options;
    return this.#begin(address, purpose, sink, (socket) => {
      const pair = purpose === "turn-listener" ? inherited(address) : undefined;
      if (pair === undefined) socket.open(address, purpose);
      else socket.inherit(pair.media);
      if (isMerging) socket.merge();
      this.#options.epoll.add(socket.descriptor, socket.id);
      if (purpose === "turn-listener") this.#steerRequests(socket, pair?.requests);
    });
  }

  adopt(descriptor: number, address: Readonly<Address>, purpose: SocketPurpose, sink: DatagramSink): SocketId {
    return this.#begin(address, purpose === "relay" ? "relay" : "listener", sink, (socket) => {
      socket.adopt(descriptor);
      this.#options.epoll.add(descriptor, socket.id);
    });
  }

  #begin(
    address: Readonly<Address>,
    purpose: SocketPurpose,
    sink: DatagramSink,
    open: (socket: MmsgSocket) => void,
  ): SocketId {
    const socket = this.#place(address.family, purpose, sink);
    try {
      open(socket);
    } catch (error) {
      socket.fail(error as Error);
    }
    const asked = address.port === 0 ? undefined : copyAddress(address);
    if (this.#opening.push({ socket, asked }) === 1) queueMicrotask(() => this.#finishBinds());
    return socket.id;
  }

  #place(family: 4 | 6, purpose: SocketPurpose | "requests", sink: DatagramSink): MmsgSocket {
    const id = this.#free.pop() ?? this.#sockets.length;
    const socket = new MmsgSocket(id, family, sink, purpose);
    this.#sockets[id] = socket;
    return socket;
  }

  /** Gives requests a socket, and a queue, of their own; where that cannot be they come with the rest. */
  #steerRequests(listener: MmsgSocket, inherited: number | undefined): void {
    const requests = this.#place(listener.family, "requests", listener.sink);
    try {
      if (inherited === undefined) requests.openBeside(listener);
      else requests.inherit(inherited);
      this.#options.epoll.add(requests.descriptor, requests.id);
      listener.requests = requests;
    } catch {
      this.#closeRequests(requests);
    }
  }

  #finishBinds(): void {
    const opening = this.#opening;
    this.#opening = [];
    for (const one of opening) {
      const { state } = one.socket;
      // First, because the sink may bind again, or release, from inside the call.
      if (state === "failed") this.#finishFailed(one.socket);
      else if (state === "opening") this.#finishOpen(one);
    }
  }

  #finishFailed({ id, sink, failure }: MmsgSocket): void {
    this.#forget(id);
    const why = bindFailure(failure as Error);
    this.#options.stats.bindFailures[why]++;
    sink.handleBindFailed(id, why, failure as Error);
  }

  #finishOpen({ socket, asked }: Opening): void {
    socket.state = "open";
    if (socket.requests !== undefined) socket.requests.state = "open";
    if (this.#options.stats.sockets++ === 0) this.#options.hold(true);
    socket.sink.handleBound(socket.id, asked ?? localAddress(socket.descriptor));
  }

  detach(id: SocketId): number | undefined {
    const socket = this.#sockets[id];
    if (socket?.state !== "open" || socket.isInherited) return undefined;
    this.#forget(id);
    this.#options.flush(socket);
    // What the kernel has counted goes with it.
    this.#options.epoll.remove(socket.descriptor);
    this.#uncount();
    return socket.detach();
  }

  release(id: SocketId): void {
    const socket = this.#sockets[id];
    if (socket === undefined) return;
    this.#forget(id);
    this.#options.flush(socket);
    if (socket.state === "open") this.#losses.handleClosing(socket);
    if (socket.requests !== undefined) this.#closeRequests(socket.requests);
    if (socket.state === "open") this.#uncount();
    this.#close(socket);
  }

  releaseAll(): void {
    for (const id of this.#sockets.keys()) this.release(id);
  }

  #closeRequests(requests: MmsgSocket): void {
    this.#forget(requests.id);
    if (requests.state === "open") this.#losses.handleClosing(requests);
    this.#close(requests);
  }

  #close(socket: MmsgSocket): void {
    // What stays open would be told of for ever.
    if (socket.isInherited) this.#options.epoll.remove(socket.descriptor);
    socket.close();
  }

  #forget(id: SocketId): void {
    this.#sockets[id] = undefined;
    this.#free.push(id);
  }

  #uncount(): void {
    if (--this.#options.stats.sockets === 0) this.#options.hold(false);
  }
}
