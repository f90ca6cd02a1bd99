/** One UDP socket of the `mmsg` datapath: its descriptor, what waits to leave by it, and how much to ask it for. */
import type { Address } from "../../core/base/address.ts";
import { keepErrors } from "../sys/error-queue.ts";
import { NO_ENTRY } from "../sys/send-batch.ts";
import { openBeside, type SteeredPair } from "../sys/steering.ts";
import { closeDescriptor, localAddress, openUdpSocket, setFragmentation, setReceiveBuffer } from "../sys/udp-socket.ts";
import { type DatagramSink, RECEIVE_BUFFER, type ReceiveQueue, type SocketId, type SocketPurpose } from "./datapath.ts";
import { NOTHING_WAITS, type SendQueue } from "./send-queue.ts";

const mostWanted = 64;

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
  /** Where the last datagram was going that was too long for the way. */
  refusedPort = 0;
  /** The round in which it last gave as many as were asked for. */
  #fullRound = -1;

  constructor(id: SocketId, family: 4 | 6, sink: DatagramSink, receives: ReceiveQueue) {
    this.id = id;
    this.family = family;
    this.sink = sink;
    this.receives = receives;
  }

  /** Throws `SystemError`. */
  open(address: Readonly<Address>, purpose: SocketPurpose): void {
    this.descriptor = openUdpSocket(address);
    setReceiveBuffer(this.descriptor, RECEIVE_BUFFER[this.receives]);
    // RFC 8656 §14: DF is that of the datagram that came, which nobody can see from here: zero.
    if (this.family === 4 && purpose !== "listener") setFragmentation(this.descriptor, true);
    if (this.sink.handleIcmp !== undefined) keepErrors(this.descriptor, this.family);
    if (purpose === "turn-listener") this.fill = 0;
  }

  /** Opens this one for the requests that come to `listener`. Throws `SystemError`. */
  openBeside(listener: MmsgSocket): void {
    const [pair] = openBeside(listener.descriptor, localAddress(listener.descriptor));
    this.descriptor = (pair as SteeredPair).requests;
    setReceiveBuffer(this.descriptor, RECEIVE_BUFFER[this.receives]);
    this.fill = 0;
  }

  /** Takes over one that is open. */
  inherit(descriptor: number): void {
    this.isInherited = true;
    this.descriptor = descriptor;
    this.fill = 0;
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

  /** `asked` for and `given` in `round`: more is wanted when it was full twice in a row. */
  adapt(asked: number, given: number, round: number): void {
    if (given < asked) this.want = Math.max(1, given);
    else if (this.#fullRound === round - 1) this.want = Math.min(2 * this.want, mostWanted);
    if (given >= asked) this.#fullRound = round;
  }
}
