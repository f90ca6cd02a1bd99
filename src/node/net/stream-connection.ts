/**
 * One client on TCP or TLS: bytes in, frames up; frames down, bytes out. What ends it, besides the client: bytes that
 * are no frame, and time limits (first frame, unfinished frame, no allocation, unread data).
 *
 * What arrives is handled before more is read, so a client that sends faster than we relay is held back by TCP itself.
 * A client that does not read is sent no more media past one bound, and is closed by a response past another.
 */
import type { Socket } from "node:net";
import type { Timed } from "../../core/base/deadlines.ts";
import type { Instant } from "../../core/base/machine.ts";
import { CHANNEL_HEADER_LENGTH, encodeChannelHeader } from "../../core/turn/channel-data.ts";
import type { ClientPath } from "../../core/turn/server/client-path.ts";
import { StreamFramer } from "../../core/turn/stream-framing.ts";
import type { Admitted } from "./admission.ts";
import type { StreamLimits } from "./stream-limits.ts";
import type { StreamEnd, StreamStats } from "./stream-stats.ts";

/** Where frames and ends go. */
export interface StreamSink {
  /** One frame, padding included; its bytes are the receiver's to keep. */
  handleFrame(frame: Uint8Array, from: ClientPath): void;
  /** Called once for every connection whose frames may have come up, when it is closed. */
  handleClosed(from: ClientPath): void;
}

export interface ConnectionContext {
  readonly limits: StreamLimits;
  readonly stats: StreamStats;
  readonly sink: StreamSink;
  readonly now: () => Instant;
  /** The connection wants `handleTimeout` at its `nextDeadline`. */
  watch(connection: StreamConnection): void;
  /** The connection is closed. */
  forget(connection: StreamConnection): void;
}

const NEVER = Number.POSITIVE_INFINITY;

/** Indications are never answered and never repeated, so they may be lost: Data indications are media. */
function isIndication(frame: Uint8Array): boolean {
  return ((frame[0] as number) & 0x01) === 0 && ((frame[1] as number) & 0x10) !== 0;
}

export class StreamConnection implements Timed {
  deadline: Instant = 0 as Instant;
  heapIndex = -1;
  readonly path: ClientPath;
  readonly #socket: Socket;
  readonly #context: ConnectionContext;
  readonly #admitted: Admitted;
  readonly #framer: StreamFramer;
  readonly #acceptedAt: Instant;
  #heardAt: Instant;
  /** Since when the client has had no allocation. */
  #withoutSince: Instant;
  #hasFramed = false;
  /** When the unfinished frame began; `NEVER` when there is none. */
  #frameSince = NEVER;
  /** When bytes last left while others waited; `NEVER` when none wait. */
  #stalledSince = NEVER;
  #flushedThen = 0;
  #written = 0;
  #hasAllocation = false;
  #end: StreamEnd | undefined;

  /** `acceptedAt`: for TLS, before the handshake. */
  constructor(socket: Socket, path: ClientPath, admitted: Admitted, acceptedAt: Instant, context: ConnectionContext) {
    this.#socket = socket;
    this.path = path;
    this.#admitted = admitted;
    this.#acceptedAt = acceptedAt;
    this.#heardAt = acceptedAt;
    this.#withoutSince = acceptedAt;
    this.#context = context;
    this.#framer = new StreamFramer(context.limits.frameBytes);
    socket.on("data", (chunk: Uint8Array) => this.#handleChunk(chunk));
    socket.on("drain", () => {
      this.#stalledSince = NEVER;
    });
    socket.on("error", () => this.end("error"));
    socket.on("close", () => this.#handleClose());
    context.watch(this);
  }

  /** Whoever allocates has proven who it is; how long it stays is the allocation's affair. */
  set hasAllocation(value: boolean) {
    this.#hasAllocation = value;
    this.#withoutSince = this.#context.now();
    if (value) this.#admitted.settle();
    this.#context.watch(this);
  }

  /** When `handleTimeout` is wanted next. */
  get nextDeadline(): Instant {
    const { limits } = this.#context;
    return Math.min(
      this.#hasFramed ? NEVER : this.#acceptedAt + limits.firstFrameMs,
      this.#hasAllocation ? NEVER : this.#withoutSince + limits.withoutAllocationMs,
      this.#frameSince + limits.frameMs,
      this.#stalledSince + limits.stalledMs,
    ) as Instant;
  }

  /** Sends a whole frame: a response, or a Data indication, which may be dropped. */
  sendFrame(frame: Uint8Array): void {
    const { limits, stats } = this.#context;
    const backlog = this.#socket.writableLength;
    if (isIndication(frame)) {
      if (backlog > limits.mediaBacklog) stats.mediaDropped++;
      else this.#write(frame);
    } else if (backlog > limits.controlBacklog) this.end("backlog");
    else this.#write(frame);
  }

  sendChannelData(channel: number, data: Uint8Array, offset: number, length: number): void {
    if (this.#socket.writableLength > this.#context.limits.mediaBacklog) {
      this.#context.stats.mediaDropped++;
      return;
    }
    const end = CHANNEL_HEADER_LENGTH + length;
    // RFC 8656 §12.5: over TCP and TLS a ChannelData message is padded to a multiple of four bytes.
    const frame = Buffer.allocUnsafe((end + 3) & ~3);
    encodeChannelHeader(frame, 0, channel, length);
    frame.set(length === data.length ? data : data.subarray(offset, offset + length), CHANNEL_HEADER_LENGTH);
    frame.fill(0, end);
    this.#write(frame);
  }

  /** Closes at once. The first reason counts. */
  end(reason: StreamEnd): void {
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
    const { limits } = this.#context;
    if (!this.#hasFramed && now >= this.#acceptedAt + limits.firstFrameMs) return this.end("no-frame");
    if (now >= this.#frameSince + limits.frameMs) return this.end("slow-frame");
    if (!this.#hasAllocation && now >= this.#withoutSince + limits.withoutAllocationMs) {
      return this.end("no-allocation");
    }
    if (now >= this.#stalledSince + limits.stalledMs) {
      if (this.#flushed === this.#flushedThen) return this.end("stalled");
      this.#noteStall(now);
    }
    this.#context.watch(this);
  }

  /** Bytes that the kernel has taken. */
  get #flushed(): number {
    return this.#written - this.#socket.writableLength;
  }

  #noteStall(now: Instant): void {
    this.#stalledSince = now;
    this.#flushedThen = this.#flushed;
  }

  #write(frame: Uint8Array): void {
    if (!this.#socket.writable) return;
    const { stats } = this.#context;
    stats.framesOut++;
    stats.bytesOut += frame.length;
    this.#written += frame.length;
    if (this.#socket.write(frame) || this.#stalledSince !== NEVER) return;
    this.#noteStall(this.#context.now());
    this.#context.watch(this);
  }

  #handleChunk(chunk: Uint8Array): void {
    const { sink, stats } = this.#context;
    stats.bytesIn += chunk.length;
    this.#heardAt = this.#context.now();
    const framer = this.#framer;
    framer.push(chunk);
    let framed = false;
    for (let frame = framer.next(); frame !== undefined && this.#end === undefined; frame = framer.next()) {
      framed = true;
      stats.framesIn++;
      this.#hasFramed = true;
      sink.handleFrame(frame, this.path);
    }
    if (framer.failure !== undefined) this.end(framer.failure);
    else this.#noteFrame(framed, framer.pending > 0);
  }

  /** A slow frame is measured from the first byte of it that came. */
  #noteFrame(framed: boolean, pending: boolean): void {
    if (!pending) this.#frameSince = NEVER;
    else if (framed || this.#frameSince === NEVER) {
      this.#frameSince = this.#heardAt;
      this.#context.watch(this);
    }
  }

  #handleClose(): void {
    this.#admitted.leave(this.#end ?? "client");
    this.#context.forget(this);
    this.#context.sink.handleClosed(this.path);
  }
}
