/** One UDP socket of the `mmsg` datapath: its descriptor, what waits to leave by it, and how much to ask it for. */
import type { Address } from "../../core/base/address.ts";
import { hopLimitOf, type IpFields, NO_FIELDS, trafficClassOf } from "../../core/base/ip-fields.ts";
import { keepErrors } from "../sys/error-queue.ts";
import { hearFields, setFields, systemHopLimit } from "../sys/ip-fields.ts";
import { noteClosing, noteOpened } from "../sys/open-descriptors.ts";
import { NO_ENTRY } from "../sys/send-batch.ts";
import { openBeside, type SteeredPair } from "../sys/steering.ts";
import {
  closeDescriptor,
  isReceivedMerged,
  localAddress,
  mergeReceived,
  openUdpSocket,
  setFragmentation,
  setReceiveBuffer,
} from "../sys/udp-socket.ts";
import { type DatagramSink, RECEIVE_BUFFER, type ReceiveQueue, type SocketId, type SocketPurpose } from "./datapath.ts";
import { NOTHING_WAITS, type SendQueue } from "./send-queue.ts";

const mostWanted = 64;

/** When there was not more than one has asked for, one asks for as much again for so many looks. */
const looksBetweenTries = 8;

/** So many flushes in a row that begin with the same fields are worth making these the socket's own. */
const worthAssuming = 4;

/** So many datagrams of one length at once are a burst, if they are as long as video's; after so many bursts they are merged. */
export const leastBurst = 8;
const leastBurstBytes = 500;
const worthMerging = 16;

/**
 * To be told with what a datagram came costs a tenth of receiving it alone. So a relay that hears of none with a traffic class
 * is told of one in 16 that come alone, and of all as soon, and for as long, as there are some.
 */
const taken = 15;
const looksAfterMark = 1_000;

/**
 * Nobody is taken to have come with fewer hops than any way is long: anybody who sends to a relay could have what others send
 * dropped, there or further on, by sending one of few hops in between.
 */
const leastTakenHops = 32;

export class MmsgSocket {
  readonly id: SocketId;
  readonly family: 4 | 6;
  readonly sink: DatagramSink;
  state: "opening" | "open" | "failed" | "closed" = "opening";
  failure: Error | undefined;
  descriptor = -1;
  /** The chain of entries that the next flush sends. */
  head: number = NO_ENTRY;
  tail: number = NO_ENTRY;
  /** What the kernel had no room for. */
  queue: SendQueue = NOTHING_WAITS;
  /** Datagrams of up to this length are sent several in one message. */
  segmentLimit = 65_000;
  /** How many datagrams to ask for: asking for more than there are costs a failing receive. */
  want = 1;
  /** Beside a `turn-listener`: what requests come to, so that this one has the media alone. */
  requests: MmsgSocket | undefined;
  readonly receives: ReceiveQueue;
  /** How full its queue was when last asked; undefined where nobody asks. */
  fill: number | undefined;
  /** Somebody else closes it. */
  isInherited = false;
  /** Whether it is told with what datagrams come. */
  readonly hearsFields: boolean;
  /** What leaves has these where nothing else is said with it. */
  usual: IpFields = NO_FIELDS;
  /** Of the system; 0 as long as `usual` has it too. */
  systemHops = 0;
  /** Whether what comes may be several datagrams in one. */
  isMerging = false;
  #bursts = 0;
  /** With what the last datagram came that was looked at. */
  heard: IpFields = NO_FIELDS;
  /** How many that come alone are taken to have come with the same. */
  #toTake = 0;
  /** How many are to be looked at before some are taken for alike. */
  #toLookAt = 0;
  /** What a flush last began with that was not usual, and how often in a row. */
  #unusual: IpFields = NO_FIELDS;
  #unusualFlushes = 0;
  /** Where the last datagram was going that was too long for the way. */
  refusedPort = 0;
  /** How many looks that give all that is asked for are to pass before more is asked for. */
  #looksBeforeMore = 0;

  constructor(id: SocketId, family: 4 | 6, sink: DatagramSink, purpose: SocketPurpose | "requests") {
    this.id = id;
    this.family = family;
    this.sink = sink;
    this.receives = purpose === "turn-listener" ? "listener" : purpose;
    this.hearsFields = purpose !== "listener";
  }

  /** Throws `SystemError`. */
  open(address: Readonly<Address>, purpose: SocketPurpose): void {
    this.descriptor = openUdpSocket(address);
    setReceiveBuffer(this.descriptor, RECEIVE_BUFFER[this.receives]);
    // RFC 8656 §14: DF is that of the datagram that came, which nobody can see from here: zero.
    if (this.family === 4 && purpose !== "listener") setFragmentation(this.descriptor, true);
    if (this.sink.handleIcmp !== undefined) keepErrors(this.descriptor, this.family);
    if (this.hearsFields) hearFields(this.descriptor, this.family);
    if (purpose === "turn-listener") this.fill = 0;
  }

  /** Opens this one for the requests that come to `listener`. Throws `SystemError`. */
  openBeside(listener: MmsgSocket): void {
    const [pair] = openBeside(listener.descriptor, localAddress(listener.descriptor));
    this.descriptor = (pair as SteeredPair).requests;
    setReceiveBuffer(this.descriptor, RECEIVE_BUFFER[this.receives]);
    if (this.hearsFields) hearFields(this.descriptor, this.family);
    this.fill = 0;
  }

  /** Takes over one that is open. Throws `SystemError`. */
  inherit(descriptor: number): void {
    this.isInherited = true;
    this.descriptor = descriptor;
    hearFields(descriptor, this.family);
    this.isMerging = isReceivedMerged(descriptor);
    // Whoever had it before may have assumed others.
    setFields(descriptor, this.family, NO_FIELDS);
    this.fill = 0;
  }

  /** Takes over one that is this one's from now on. Throws `SystemError`. */
  adopt(descriptor: number): void {
    this.descriptor = noteOpened(descriptor);
    this.isMerging = isReceivedMerged(descriptor);
  }

  /** It is somebody else's from now on. */
  detach(): number {
    const { descriptor } = this;
    noteClosing(descriptor);
    this.descriptor = -1;
    this.state = "closed";
    return descriptor;
  }

  fail(failure: Error): void {
    this.close();
    this.state = "failed";
    this.failure = failure;
  }

  close(): void {
    if (this.descriptor >= 0 && !this.isInherited) closeDescriptor(this.descriptor);
    this.descriptor = -1;
    this.state = "closed";
  }

  /** Whether the next datagram, which comes alone, need not be looked at, because it is taken to have come with `heard`. */
  takesNext(): boolean {
    if (this.receives !== "relay" || this.isMerging || this.#toTake === 0) return false;
    this.#toTake--;
    return true;
  }

  /** What comes here is only passed on: requests come elsewhere, and whoever listens to everything may do anything. */
  get isMedia(): boolean {
    return this.receives === "relay" || this.requests !== undefined;
  }

  /** Throws `SystemError`. */
  merge(): void {
    if (this.isMerging || !this.hearsFields || this.receives === "requests") return;
    mergeReceived(this.descriptor);
    this.isMerging = true;
  }

  /** So many datagrams came at once that are all `length` bytes long. It is not worth it for what comes one by one. */
  noteBurst(length: number): void {
    if (length >= leastBurstBytes && ++this.#bursts >= worthMerging) this.merge();
  }

  noteHeard(fields: IpFields): void {
    this.heard = fields;
    if (trafficClassOf(fields) !== 0) {
      this.#toLookAt = looksAfterMark;
      this.#toTake = 0;
    } else if (this.#toLookAt > 0) this.#toLookAt--;
    else this.#toTake = hopLimitOf(fields) > leastTakenHops ? taken : 0;
  }

  /**
   * What is about to leave begins with these. Most sockets send all they do with the same, and then need not say it with
   * every datagram, which costs more than to send it.
   */
  noteFields(fields: IpFields): void {
    if (fields === this.usual) {
      this.#unusualFlushes = 0;
      return;
    }
    this.#unusualFlushes = fields === this.#unusual ? this.#unusualFlushes + 1 : 1;
    this.#unusual = fields;
    if (this.#unusualFlushes >= worthAssuming) this.#assume(fields);
  }

  #assume(fields: IpFields): void {
    this.#unusualFlushes = 0;
    if (this.systemHops === 0) this.systemHops = systemHopLimit(this.descriptor, this.family);
    setFields(this.descriptor, this.family, fields);
    this.usual = fields;
  }

  /**
   * `asked` for and `given`. What waits in many sockets is caught up with by asking each for more; but of packets that come
   * evenly spaced there is one at a time, and asking for a second fails.
   */
  adapt(asked: number, given: number): void {
    if (given < asked) {
      if (2 * given <= asked) this.#looksBeforeMore = looksBetweenTries;
      this.want = Math.max(1, given);
    } else if (this.#looksBeforeMore > 0) this.#looksBeforeMore--;
    else this.want = Math.min(2 * this.want, mostWanted);
  }
}
