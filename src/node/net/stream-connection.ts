/**
 * One TURN client on TCP or TLS: bytes in, frames up; frames down, bytes out. Bytes that are no frame end it, and the
 * limits of `LimitedStream`; whoever allocates is settled.
 *
 * A client that does not read is sent no more media past one bound, and is closed by a response past another.
 */
import type { Socket } from "node:net";
import type { Instant } from "../../core/base/machine.ts";
import { CHANNEL_HEADER_LENGTH, encodeChannelHeader } from "../../core/turn/channel-data.ts";
import type { ClientPath } from "../../core/turn/server/client-path.ts";
import { StreamFramer } from "../../core/turn/stream-framing.ts";
import { LimitedStream, type Patience, type Place, type StreamWatch } from "./limited-stream.ts";
import type { StreamLimits } from "./stream-limits.ts";
import type { StreamEnd, StreamStats } from "./stream-stats.ts";

/** Where frames and ends go. */
export interface StreamSink {
  /** One frame, padding included; its bytes are the receiver's to keep. */
  handleFrame(frame: Uint8Array, from: ClientPath): void;
  /** Called once for every connection whose frames may have come up, when it is closed. */
  handleClosed(from: ClientPath): void;
}

export interface ConnectionContext extends StreamWatch {
  readonly limits: StreamLimits;
  readonly stats: StreamStats;
  readonly sink: StreamSink;
}

/** Indications are never answered and never repeated, so they may be lost: Data indications are media. */
function isIndication(frame: Uint8Array): boolean {
  return ((frame[0] as number) & 0x01) === 0 && ((frame[1] as number) & 0x10) !== 0;
}

function patienceOf(limits: StreamLimits): Patience<StreamEnd> {
  const { firstFrameMs, frameMs, withoutAllocationMs, stalledMs } = limits;
  return { firstFrameMs, frameMs, unsettledMs: withoutAllocationMs, unsettledEnd: "no-allocation", stalledMs };
}

export class StreamConnection extends LimitedStream<StreamEnd> {
  readonly path: ClientPath;
  readonly #context: ConnectionContext;
  readonly #framer: StreamFramer;

  /** `acceptedAt`: for TLS, before the handshake. */
  constructor(
    socket: Socket,
    path: ClientPath,
    place: Place<StreamEnd>,
    acceptedAt: Instant,
    context: ConnectionContext,
  ) {
    super(socket, path.connection, place, acceptedAt, patienceOf(context.limits), context);
    this.path = path;
    this.#context = context;
    this.#framer = new StreamFramer(context.limits.frameBytes);
  }

  /** Whoever allocates has proven who it is; how long it stays is the allocation's affair. */
  set hasAllocation(value: boolean) {
    this.setSettled(value);
  }

  /** Sends a whole frame: a response, or a Data indication, which may be dropped. */
  sendFrame(frame: Uint8Array): void {
    const { limits, stats } = this.#context;
    const { backlog } = this;
    if (isIndication(frame)) {
      if (backlog > limits.mediaBacklog) stats.mediaDropped++;
      else this.#send(frame);
    } else if (backlog > limits.controlBacklog) this.end("backlog");
    else this.#send(frame);
  }

  sendChannelData(channel: number, data: Uint8Array, offset: number, length: number): void {
    if (this.backlog > this.#context.limits.mediaBacklog) {
      this.#context.stats.mediaDropped++;
      return;
    }
    const end = CHANNEL_HEADER_LENGTH + length;
    // RFC 8656 §12.5: over TCP and TLS a ChannelData message is padded to a multiple of four bytes.
    const frame = Buffer.allocUnsafe((end + 3) & ~3);
    encodeChannelHeader(frame, 0, channel, length);
    frame.set(length === data.length ? data : data.subarray(offset, offset + length), CHANNEL_HEADER_LENGTH);
    frame.fill(0, end);
    this.#send(frame);
  }

  protected override handleBytes(chunk: Uint8Array): boolean {
    const { sink, stats } = this.#context;
    stats.bytesIn += chunk.length;
    const framer = this.#framer;
    framer.push(chunk);
    let hasFramed = false;
    for (let frame = framer.next(); frame !== undefined && !this.isEnded; frame = framer.next()) {
      hasFramed = true;
      stats.framesIn++;
      sink.handleFrame(frame, this.path);
    }
    if (framer.failure !== undefined) this.end(framer.failure);
    return hasFramed;
  }

  protected override get isMidFrame(): boolean {
    return this.#framer.pending > 0;
  }

  protected override handleClosed(): void {
    this.#context.sink.handleClosed(this.path);
  }

  #send(frame: Uint8Array): void {
    if (!this.isWritable) return;
    const { stats } = this.#context;
    stats.framesOut++;
    stats.bytesOut += frame.length;
    this.write(frame);
  }
}
