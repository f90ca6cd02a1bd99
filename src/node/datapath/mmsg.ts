/**
 * The datapath of Linux: batched system calls through foreign functions. An epoll descriptor knows which sockets are
 * ready; Node's event loop watches that one descriptor, and a turn of the loop in which it is ready receives up to 64 datagrams
 * a call, hands them up, and flushes what was sent meanwhile. Nothing is made for a packet: bytes stay where the kernel wrote
 * them and leave from there.
 */
import { constants } from "node:os";
import { type Address, blankAddress } from "../../core/base/address.ts";
import { type IpFields, mustNotFragment, NO_FIELDS } from "../../core/base/ip-fields.ts";
import type { MediaFlow } from "../../core/relay/media-flow.ts";
import type { Flow } from "../../core/turn/server/flow.ts";
import { Epoll } from "../sys/epoll.ts";
import { ErrorQueue } from "../sys/error-queue.ts";
import { nodeLoop } from "../sys/node-loop.ts";
import type { ThreadLoop } from "../sys/readiness.ts";
import { ReceiveBatch } from "../sys/receive-batch.ts";
import { QueueGauge, type SteeredPair } from "../sys/steering.ts";
import {
  createDatapathStats,
  type DatagramSink,
  type Datapath,
  type DatapathStats,
  type SocketId,
  type SocketPurpose,
} from "./datapath.ts";
import { Outbox } from "./mmsg-outbox.ts";
import { leastBurst, type MmsgSocket } from "./mmsg-socket.ts";
import { MmsgSockets } from "./mmsg-sockets.ts";
import { MmsgWakes } from "./mmsg-wakes.ts";
import { isWildcard, wildcardFailure } from "./wildcard.ts";

const { EAGAIN, EINTR } = constants.errno;

/** Datagrams received before what they caused is sent, and sockets looked at in one round. */
const batchSize = 64;

/** Datagrams that were there at once for it to be worth asking how many more are. */
const worthGauging = 16;

/** ICMP messages that are read of one socket before its datagrams. */
const mostErrors = 16;

/** Rounds before everything else in the process gets its turn: two milliseconds when all batches are full. */
const roundsInTurn = 8;

/** Datagrams in a round. */
const worthAnotherRound = 4;

export interface MmsgOptions {
  /**
   * Whether the kernel may hand over several datagrams as one, which costs less for bursts: where it sees some, or always.
   * Never when it is not given: a program that looks at packets where they come in, as offload does, passes merged ones by.
   */
  readonly merges?: "bursts" | "always";
  /** Microseconds, less than a second; 0, as when it is not given: nothing waits. */
  readonly wakeDelay?: number;
  /** Datagrams, 64 at most, after which everything else in the process gets its turn: for those that cost much each. */
  readonly mostInTurn?: number;
  /** What runs the thread; Node's own event loop, unless given. */
  readonly loop?: ThreadLoop;
  /** Sockets of listeners that are somebody else's, who has opened them and closes them; undefined where it is our own. */
  readonly inherited?: (address: Readonly<Address>) => SteeredPair | undefined;
}

export class MmsgDatapath implements Datapath {
  readonly carriesFields = true;
  readonly #stats: DatapathStats;
  readonly #epoll: Epoll = new Epoll(batchSize);
  readonly #received: ReceiveBatch = new ReceiveBatch(batchSize);
  readonly #outbox: Outbox;
  readonly #errors: ErrorQueue = new ErrorQueue();
  readonly #gauge: QueueGauge = new QueueGauge();
  readonly #wakes: MmsgWakes;
  readonly #merges: MmsgOptions["merges"];
  readonly #batch: number;
  readonly #rounds: number;
  readonly #sockets: MmsgSockets;
  readonly #from: Address = blankAddress();
  readonly #flush = (): void => this.#flushLater();
  /** By slot of `#received`: whose datagram it holds. */
  readonly #owners: MmsgSocket[] = [];
  /** By slot: whether the datagram is taken to have come with what its socket heard last. */
  readonly #areTaken: Uint8Array = new Uint8Array(batchSize);
  /** Slots that hold a datagram. */
  #filled = 0;
  #isInTurn = false;
  #isFlushDue = false;
  #isClosed = false;
  /** Whether a socket gave as many as were asked for in this round. */
  #mayHaveLeft = false;

  /** Under load a datagram may wait for `wakeDelay` microseconds until others have come. Throws `PosternError` `foreign-functions-unavailable`, or `SystemError` when no descriptor is left. */
  constructor({ wakeDelay = 0, mostInTurn, merges, loop = nodeLoop(), inherited = () => undefined }: MmsgOptions = {}) {
    const unreceived = () => this.#sockets.unreceived;
    this.#stats = {
      ...createDatapathStats(),
      get unreceived() {
        return unreceived();
      },
    };
    this.#merges = merges;
    this.#batch = mostInTurn ?? batchSize;
    this.#rounds = mostInTurn === undefined ? roundsInTurn : 1;
    this.#outbox = new Outbox(this.#stats, this.#received, ({ descriptor, id }, isWaiting) =>
      this.#epoll.watchWritable(descriptor, id, isWaiting),
    );
    this.#sockets = new MmsgSockets({
      epoll: this.#epoll,
      gauge: this.#gauge,
      stats: this.#stats,
      inherited,
      isMerging: merges === "always",
      flush: (socket) => this.#outbox.flushSocket(socket),
      hold: (isNeeded) => this.#wakes.hold(isNeeded),
    });
    this.#wakes = new MmsgWakes(loop, this.#epoll.descriptor, wakeDelay, () => this.#look());
    this.#wakes.hold(false);
  }

  get stats(): Readonly<DatapathStats> {
    return this.#stats;
  }

  bind(address: Readonly<Address>, purpose: SocketPurpose, sink: DatagramSink): SocketId {
    if (isWildcard(address)) throw wildcardFailure(address);
    return this.#sockets.bind(address, purpose, sink);
  }

  adopt(descriptor: number, address: Readonly<Address>, purpose: SocketPurpose, sink: DatagramSink): SocketId {
    return this.#sockets.adopt(descriptor, address, purpose, sink);
  }

  detach(id: SocketId): number | undefined {
    return this.#sockets.detach(id);
  }

  release(id: SocketId): void {
    this.#sockets.release(id);
  }

  send(
    id: SocketId,
    data: Uint8Array,
    offset: number,
    length: number,
    to: Readonly<Address>,
    fields: IpFields = NO_FIELDS,
  ): boolean {
    const socket = this.#sockets.at(id);
    if (socket?.state !== "open") return this.#dropClosed();
    const isAccepted =
      mustNotFragment(fields) && to.family === 4
        ? this.#outbox.sendWhole(socket, data, offset, length, to, fields)
        : this.#outbox.send(socket, data, offset, length, to, fields);
    this.#scheduleFlush();
    return isAccepted;
  }

  sendChannelData(
    id: SocketId,
    channel: number,
    data: Uint8Array,
    offset: number,
    length: number,
    to: Readonly<Address>,
    fields: IpFields = NO_FIELDS,
  ): boolean {
    const socket = this.#sockets.at(id);
    if (socket?.state !== "open") return this.#dropClosed();
    const isAccepted = this.#outbox.sendChannelData(socket, channel, data, offset, length, to, fields);
    this.#scheduleFlush();
    return isAccepted;
  }

  /** Every packet comes up. */
  offload(_flow: Flow, _client: SocketId, _other: SocketId): void {}

  offloadMedia(_flow: MediaFlow, _arrival: SocketId, _departure: SocketId): void {}

  withdraw(_flow: Flow | MediaFlow): void {}

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#sockets.releaseAll();
    this.#isClosed = true;
    this.#wakes.close();
    this.#epoll.close();
    this.#received.release();
    this.#gauge.release();
    this.#errors.release();
    this.#outbox.release();
    return Promise.resolve();
  }

  #dropClosed(): boolean {
    this.#stats.drops.closed++;
    return false;
  }

  #scheduleFlush(): void {
    if (this.#isInTurn || this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(this.#flush);
  }

  #flushLater(): void {
    this.#isFlushDue = false;
    if (!this.#isClosed) this.#outbox.flush();
  }

  /** Hands up what the sockets have, up to a bound; returns how many packets that was. */
  #look(): number {
    this.#isInTurn = true;
    const before = this.#stats.packetsIn;
    for (let round = 0; round < this.#rounds && !this.#isClosed; round++) {
      this.#mayHaveLeft = false;
      const { packetsIn } = this.#stats;
      const ready = this.#epoll.wait(0);
      // Requests first: they are few, and calls hang on them.
      for (let i = 0; i < ready && !this.#isClosed; i++) this.#serve(i, true);
      for (let i = 0; i < ready && !this.#isClosed; i++) this.#serve(i, false);
      this.#handUp();
      // Fewer took no time in which others could have come. But what is left behind while paced waits once more.
      const isSmall = this.#stats.packetsIn - packetsIn < worthAnotherRound;
      if (this.#stats.packetsIn - before >= this.#rounds * this.#batch) break;
      if (isSmall && !(this.#wakes.isPaced && this.#mayHaveLeft)) break;
    }
    this.#isInTurn = false;
    return this.#stats.packetsIn - before;
  }

  /** What the `index`th ready socket has room for, and has, if it is one for requests, or is not. */
  #serve(index: number, forRequests: boolean): void {
    const socket = this.#sockets.at(this.#epoll.idAt(index));
    // Released meanwhile, or not heard of yet by its sink.
    if (socket?.state !== "open" || (socket.receives === "requests") !== forRequests) return;
    if (this.#epoll.hasError(index)) this.#readErrors(socket);
    // A sink may have released it: here, and when batches are handed up.
    if (socket.state !== "open") return;
    if (this.#epoll.isWritable(index)) this.#outbox.drain(socket);
    if (this.#filled === this.#batch) this.#handUp();
    // The sinks that were called may have released it.
    if (socket.state === "open") this.#receive(socket);
  }

  #readErrors(socket: MmsgSocket): void {
    const errors = this.#errors;
    for (let i = 0; i < mostErrors && errors.take(socket.descriptor); i++) {
      if (!errors.read()) continue;
      const { type, code, info } = errors;
      // The kernel does not know the port of what it has refused itself.
      if (errors.to.port === 0) errors.to.port = socket.refusedPort;
      try {
        socket.sink.handleIcmp?.(errors.to, { type, code, mtu: info });
      } catch (error) {
        surface(error);
      }
    }
  }

  #receive(socket: MmsgSocket): void {
    const want = Math.min(socket.want, this.#batch - this.#filled);
    const isTaken = want === 1 && socket.takesNext();
    const count = this.#received.receive(socket.descriptor, this.#filled, want, socket.hearsFields && !isTaken);
    if (count < 0) {
      // Where errors are kept, the next look finds them there.
      if (count !== -EAGAIN && count !== -EINTR && socket.sink.handleIcmp === undefined) this.#stats.socketErrors++;
      return;
    }
    if (socket.fill !== undefined) this.#gaugeQueue(socket, want, count);
    socket.adapt(want, count);
    if (count === want) this.#mayHaveLeft = true;
    if (!socket.isMedia) this.#wakes.giveWay();
    if (this.#merges === "bursts" && count >= leastBurst && !socket.isMerging) this.#lookForBurst(socket, count);
    for (let i = 0; i < count; i++) {
      this.#areTaken[this.#filled] = isTaken ? 1 : 0;
      this.#owners[this.#filled++] = socket;
    }
  }

  #lookForBurst(socket: MmsgSocket, count: number): void {
    const received = this.#received;
    const length = received.lengthOf(this.#filled);
    for (let i = 1; i < Math.min(count, leastBurst); i++) {
      if (received.lengthOf(this.#filled + i) !== length) return;
    }
    socket.noteBurst(length);
  }

  #gaugeQueue(socket: MmsgSocket, asked: number, given: number): void {
    if (given < asked) socket.fill = 0;
    else if (given >= worthGauging) socket.fill = this.#gauge.fillOf(socket.descriptor);
  }

  /** Hands up everything received, and sends what came of it. */
  #handUp(): void {
    const filled = this.#filled;
    for (let slot = 0; slot < filled; slot++) this.#handUpSlot(this.#owners[slot] as MmsgSocket, slot);
    this.#filled = 0;
    this.#outbox.lend(undefined);
    if (!this.#isClosed) this.#outbox.flush();
  }

  #fieldsOf(socket: MmsgSocket, slot: number): IpFields {
    if (this.#areTaken[slot] === 1) return socket.heard;
    const fields = this.#received.takeFields(slot);
    socket.noteHeard(fields);
    return fields;
  }

  #handUpSlot(socket: MmsgSocket, slot: number): void {
    const received = this.#received;
    const fields = socket.hearsFields ? this.#fieldsOf(socket, slot) : undefined;
    received.takeSource(slot, this.#from);
    // Released by a sink: what came before that is nobody's.
    if (socket.state !== "open") return;
    const length = received.lengthOf(slot);
    const segment = socket.isMerging ? received.segment : 0;
    const offset = received.offsetOf(slot);
    if (segment === 0 || segment >= length)
      return this.#deliver(socket, received.bytesOf(slot), length, offset, fields);
    // A sink may release it in between.
    for (let at = 0, i = 0; at < length && socket.state === "open"; at += segment, i++) {
      const part = received.partOf(slot, i, segment);
      this.#deliver(socket, part, Math.min(segment, length - at), offset + at, fields);
    }
  }

  #deliver(socket: MmsgSocket, data: Uint8Array, length: number, offset: number, fields: IpFields | undefined): void {
    this.#stats.packetsIn++;
    this.#stats.bytesIn += length;
    this.#outbox.lend(data, offset);
    try {
      socket.sink.handleDatagram(data, length, this.#from, socket.fill, fields);
    } catch (error) {
      surface(error);
    }
  }
}

/** What a sink throws surfaces as from any callback of Node's, and the batch goes on. */
function surface(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
