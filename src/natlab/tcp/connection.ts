/**
 * A TCP connection as its program sees it. The protocol is in the procedures beside this file: this one runs them, tells
 * the program what came of it, and sends what is due, in that order, so that an answer takes the acknowledgment along.
 */
import type { Address } from "../../core/base/address.ts";
import { copyBytes } from "../../core/base/bytes.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { Agenda } from "../agenda.ts";
import type { TcpPacket } from "../packet.ts";
import { arrive } from "./arrive.ts";
import type { Block, TcpState } from "./block.ts";
import { type ByteStream, type CloseReason, HIGH_WATER } from "./byte-stream.ts";
import { isBefore, isOpening } from "./segment.ts";
import { deadlineOf, expire } from "./timeouts.ts";
import { Timer } from "./timer.ts";
import { sendAck, sendReset, sendSyn, transmit } from "./transmit.ts";

/** What a connection tells its host. */
export interface ConnectionHost {
  readonly agenda: Agenda;
  /** A connection that came in is there: `onConnection` of its listener is to be called. */
  opened(connection: TcpConnection): void;
  /** It is over, and its addresses are free. */
  released(connection: TcpConnection): void;
}

export class TcpConnection implements ByteStream {
  onOpen: (() => void) | undefined = undefined;
  onData: ((data: Uint8Array) => void) | undefined = undefined;
  onEnd: (() => void) | undefined = undefined;
  onClose: ((reason: CloseReason) => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;
  readonly #block: Block;
  readonly #host: ConnectionHost;
  readonly #timer: Timer;
  readonly #told = { open: false, end: false, close: false };
  #isRunning = false;
  #isPaused = false;
  #wantsDrain = false;

  constructor(block: Block, host: ConnectionHost) {
    this.#block = block;
    this.#host = host;
    this.#timer = new Timer(host.agenda, () => this.#run(() => expire(block)));
    sendSyn(block);
    this.#timer.follow(deadlineOf(block));
  }

  get localAddress(): Readonly<Address> {
    return this.#block.local;
  }

  get remoteAddress(): Readonly<Address> {
    return this.#block.remote;
  }

  /** As RFC 9293 §3.3.2 names it. */
  get state(): TcpState {
    return this.#block.state;
  }

  /** Why it is over; undefined while it is not. */
  get closeReason(): CloseReason | undefined {
    return this.#block.closeReason;
  }

  /** Bytes that were written and are not acknowledged. */
  get bufferedAmount(): number {
    return this.#block.outgoing.length;
  }

  write(data: Uint8Array): boolean {
    const block = this.#block;
    if (block.closeReason !== undefined) return false;
    if (block.isEnding) throw new PosternError("NATLAB_ENDED", "Write before you end the connection.");
    this.#run(() => block.outgoing.push(copyBytes(data)));
    this.#wantsDrain = block.outgoing.length >= HIGH_WATER;
    return !this.#wantsDrain;
  }

  end(): void {
    const block = this.#block;
    if (block.isEnding || block.closeReason !== undefined) return;
    this.#run(() => {
      block.isEnding = true;
      if (block.state === "established") block.state = "fin-wait-1";
      else if (block.state === "close-wait") block.state = "last-ack";
    });
  }

  reset(): void {
    const block = this.#block;
    if (block.closeReason !== undefined) return;
    this.#run(() => {
      // RFC 9293 §3.10.5: in SYN-SENT nobody has anything to be reset.
      if (block.state !== "syn-sent") sendReset(block);
      block.inbox = [];
      block.close("aborted");
    });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#run(() => {});
    // RFC 9293 §3.8.6.2.2: the window opens by half of the buffer, or a whole segment, or not at all.
    const block = this.#block;
    const opened = block.receiveWindow - block.toldWindow;
    if (block.closeReason === undefined && opened >= block.ownMss) sendAck(block);
  }

  /** A segment for this connection; the host's business. */
  handlePacket(packet: TcpPacket): void {
    this.#run(() => arrive(this.#block, packet));
  }

  /** Whether its addresses are free again, or `packet` begins a connection anew on them. */
  isOver(packet: TcpPacket | undefined): boolean {
    const block = this.#block;
    if (block.state !== "time-wait") return block.state === "closed";
    // RFC 9293 §3.6.1: TIME-WAIT gives way to a SYN beyond all that was received.
    const segment = packet?.segment;
    const isRenewed = segment !== undefined && isOpening(segment) && isBefore(block.expected, segment.sequence);
    return block.host.now >= block.expires || isRenewed;
  }

  #run(change: () => void): void {
    if (this.#isRunning) return change();
    this.#isRunning = true;
    try {
      change();
      this.#tell();
    } finally {
      this.#isRunning = false;
    }
    transmit(this.#block);
    this.#timer.follow(deadlineOf(this.#block));
    if (this.#block.state === "closed") this.#host.released(this);
  }

  /** Calls the program, as long as there is something to say. Each call may change what comes next. */
  #tell(): void {
    while (this.#tellNext());
  }

  #tellNext(): boolean {
    const block = this.#block;
    if (!this.#told.open && block.isSynAcknowledged && block.incoming !== undefined) return this.#tellOpen();
    const isReading = !this.#isPaused;
    const data = isReading ? block.inbox.shift() : undefined;
    if (data !== undefined) {
      block.inboxLength -= data.length;
      this.onData?.(data);
      return true;
    }
    return (isReading && this.#tellEnd()) || this.#tellDrain() || this.#tellClose();
  }

  #tellEnd(): boolean {
    const { closeReason, hasFinArrived } = this.#block;
    const isCut = closeReason !== undefined && closeReason !== "finished";
    if (!hasFinArrived || isCut || this.#told.end) return false;
    this.#told.end = true;
    this.onEnd?.();
    return true;
  }

  #tellOpen(): true {
    this.#told.open = true;
    if (this.#block.isPassive) this.#host.opened(this);
    else this.onOpen?.();
    return true;
  }

  #tellDrain(): boolean {
    const { outgoing, closeReason } = this.#block;
    if (!this.#wantsDrain || outgoing.length >= HIGH_WATER || closeReason !== undefined) return false;
    this.#wantsDrain = false;
    this.onDrain?.();
    return true;
  }

  #tellClose(): boolean {
    const { closeReason, hasFinArrived, inbox } = this.#block;
    if (closeReason === undefined || inbox.length > 0 || this.#told.close) return false;
    // A program that has paused hears the end first, when it resumes.
    if (closeReason === "finished" && hasFinArrived && !this.#told.end) return false;
    this.#told.close = true;
    this.onClose?.(closeReason);
    return true;
  }
}
