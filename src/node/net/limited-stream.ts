/**
 * One connection on TCP or TLS, whatever is spoken on it, and what ends it besides its other end: time limits (first
 * frame, unfinished frame, too long without being settled, unread data).
 *
 * What arrives is handled before more is read, so who sends faster than we handle is held back by TCP itself.
 */
import type { Socket } from "node:net";
import type { Timed } from "../../core/base/deadlines.ts";
import type { Instant } from "../../core/base/machine.ts";
import type { CommonEnd } from "./stream-stats.ts";

/** A connection's place among those that are counted. */
export interface Place<End extends string> {
  /** Its other end has proven who it is. */
  settle(): void;
  leave(end: CommonEnd | End): void;
}

export interface StreamWatch {
  readonly now: () => Instant;
  /** The connection wants `handleTimeout` at its `nextDeadline`. */
  watch(connection: LimitedStream<string>): void;
  /** The connection is closed. */
  forget(connection: LimitedStream<string>): void;
}

/** In milliseconds. */
export interface Patience<End extends string> {
  /** From accept to the first frame. */
  readonly firstFrameMs: number;
  /** From the first byte of a frame to its last. */
  readonly frameMs: number;
  /** For how long it may be unsettled. */
  readonly unsettledMs: number;
  readonly unsettledEnd: End;
  /** How long sent data may be left unread. */
  readonly stalledMs: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export abstract class LimitedStream<End extends string> implements Timed {
  deadline: Instant = 0 as Instant;
  heapIndex = -1;
  readonly number: number;
  readonly #socket: Socket;
  readonly #place: Place<End>;
  readonly #patience: Patience<End>;
  readonly #watch: StreamWatch;
  readonly #acceptedAt: Instant;
  #hasFramed = false;
  /** When the unfinished frame began; `NEVER` when there is none. */
  #frameSince = NEVER;
  #unsettledSince: number;
  /** When bytes last left while others waited; `NEVER` when none wait. */
  #stalledSince = NEVER;
  #flushedThen = 0;
  #written = 0;
  #end: CommonEnd | End | undefined;

  /** `acceptedAt`: for TLS, before the handshake. */
  constructor(
    socket: Socket,
    number: number,
    place: Place<End>,
    acceptedAt: Instant,
    patience: Patience<End>,
    watch: StreamWatch,
  ) {
    this.#socket = socket;
    this.number = number;
    this.#place = place;
    this.#patience = patience;
    this.#acceptedAt = acceptedAt;
    this.#unsettledSince = acceptedAt;
    this.#watch = watch;
    socket.on("data", (chunk: Uint8Array) => this.#handleChunk(chunk));
    socket.on("drain", () => {
      this.#stalledSince = NEVER;
    });
    socket.on("error", () => this.end("error"));
    socket.on("close", () => this.#handleClose());
    watch.watch(this);
  }

  /** Takes what arrived, and says whether it completed a frame. */
  protected abstract handleBytes(chunk: Uint8Array): boolean;

  /** Whether an unfinished frame is held. */
  protected abstract get isMidFrame(): boolean;

  protected abstract handleClosed(): void;

  /** A settled connection stays for as long as its other end likes. */
  protected setSettled(value: boolean): void {
    this.#unsettledSince = value ? NEVER : this.#watch.now();
    if (value) this.#place.settle();
    this.#watch.watch(this);
  }

  /** When `handleTimeout` is wanted next. */
  get nextDeadline(): Instant {
    const patience = this.#patience;
    return Math.min(
      this.#hasFramed ? NEVER : this.#acceptedAt + patience.firstFrameMs,
      this.#unsettledSince + patience.unsettledMs,
      this.#frameSince + patience.frameMs,
      this.#stalledSince + patience.stalledMs,
    ) as Instant;
  }

  /** Closes at once. The first reason counts. */
  end(reason: CommonEnd | End): void {
    this.#end ??= reason;
    this.#socket.destroy();
  }

  /** Closes when what waits has been sent. */
  finish(): void {
    this.#end ??= "shutdown";
    this.#socket.destroySoon();
  }

  /** Ends the connection when a limit has passed, else asks to be watched on. */
  handleTimeout(now: Instant): void {
    const patience = this.#patience;
    if (!this.#hasFramed && now >= this.#acceptedAt + patience.firstFrameMs) return this.end("no-frame");
    if (now >= this.#frameSince + patience.frameMs) return this.end("slow-frame");
    if (now >= this.#unsettledSince + patience.unsettledMs) return this.end(patience.unsettledEnd);
    if (now >= this.#stalledSince + patience.stalledMs) {
      if (this.#flushed === this.#flushedThen) return this.end("stalled");
      this.#noteStall(now);
    }
    this.#watch.watch(this);
  }

  /** Bytes that the kernel has not taken yet. */
  protected get backlog(): number {
    return this.#socket.writableLength;
  }

  protected get isEnded(): boolean {
    return this.#end !== undefined;
  }

  protected get isWritable(): boolean {
    return this.#socket.writable;
  }

  /** Text is a binary string. `onDone` hears whether it left. */
  protected write(data: Uint8Array | string, onDone?: (error?: Error | null) => void): void {
    this.#written += data.length;
    const isTaken = this.#socket.write(data, "latin1", onDone);
    if (isTaken || this.#stalledSince !== NEVER) return;
    this.#noteStall(this.#watch.now());
    this.#watch.watch(this);
  }

  /** Bytes that the kernel has taken. */
  get #flushed(): number {
    return this.#written - this.#socket.writableLength;
  }

  #noteStall(now: Instant): void {
    this.#stalledSince = now;
    this.#flushedThen = this.#flushed;
  }

  #handleChunk(chunk: Uint8Array): void {
    const heardAt = this.#watch.now();
    const hasFramed = this.handleBytes(chunk);
    this.#hasFramed ||= hasFramed;
    if (!this.isEnded) this.#noteFrame(hasFramed, heardAt);
  }

  /** A slow frame is measured from the first byte of it that came. */
  #noteFrame(hasFramed: boolean, heardAt: Instant): void {
    if (!this.isMidFrame) this.#frameSince = NEVER;
    else if (hasFramed || this.#frameSince === NEVER) {
      this.#frameSince = heardAt;
      this.#watch.watch(this);
    }
  }

  #handleClose(): void {
    this.#place.leave(this.#end ?? "client");
    this.#watch.forget(this);
    this.handleClosed();
  }
}
