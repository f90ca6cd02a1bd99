/**
 * One TCP or TLS connection that SIP is spoken on, whoever opened it: bytes in, messages up; messages down, bytes out.
 * What cannot be framed ends it, as do the limits of `LimitedStream`. One that others opened must be settled in time; one
 * that we opened ends when nothing has been said on it for long.
 */
import type { Socket } from "node:net";
import type { Instant } from "../../core/base/machine.ts";
import type { SipFlow } from "../../core/sip/flow.ts";
import { SipStreamFramer } from "../../core/sip/message/stream-framer.ts";
import { LimitedStream, type Patience, type Place, type StreamWatch } from "../net/limited-stream.ts";
import type { SipStreamLimits } from "./limits.ts";
import type { SipSink } from "./sink.ts";
import type { MessageCounts, SipSocketStats, SipStreamEnd } from "./stats.ts";

export interface SipConnectionContext extends StreamWatch {
  readonly limits: SipStreamLimits;
  readonly stats: SipSocketStats;
  readonly sink: SipSink;
}

/** Who opened a connection, and its place among those that are counted. */
export interface Opening {
  readonly by: "us" | "them";
  readonly place: Place<SipStreamEnd>;
  /** When it was accepted, for TLS before the handshake. */
  readonly at: Instant;
}

function patienceOf(limits: SipStreamLimits, { by }: Opening): Patience<SipStreamEnd> {
  const { firstFrameMs, frameMs, unsettledMs, stalledMs, idleMs } = limits;
  return by === "them"
    ? { firstFrameMs, frameMs, unsettledMs, unsettledEnd: "unsettled", stalledMs }
    : { firstFrameMs: Number.POSITIVE_INFINITY, frameMs, unsettledMs: idleMs, unsettledEnd: "idle", stalledMs };
}

export class SipConnection extends LimitedStream<SipStreamEnd> {
  readonly flow: SipFlow;
  readonly #isOurs: boolean;
  readonly #context: SipConnectionContext;
  readonly #counts: MessageCounts;
  readonly #onClosed: () => void;
  readonly #framer: SipStreamFramer = new SipStreamFramer();

  constructor(socket: Socket, flow: SipFlow, opening: Opening, context: SipConnectionContext, onClosed: () => void) {
    super(socket, flow.connection, opening.place, opening.at, patienceOf(context.limits, opening), context);
    this.flow = flow;
    this.#isOurs = opening.by === "us";
    this.#context = context;
    this.#counts = context.stats.messages[flow.transport];
    this.#onClosed = onClosed;
  }

  get isOpen(): boolean {
    return this.isWritable && !this.isEnded;
  }

  /** Who is settled stays until it is not any more. */
  set isSettled(value: boolean) {
    if (!this.#isOurs) this.setSettled(value);
  }

  /** False when the message cannot leave; otherwise `onFailed` is called when it did not. */
  send(text: string, onFailed: (() => void) | undefined): boolean {
    if (!this.#write(text, onFailed)) return false;
    this.#counts.messagesOut++;
    this.#counts.bytesOut += text.length;
    this.#noteMessage();
    return true;
  }

  protected override handleBytes(chunk: Uint8Array): boolean {
    const framer = this.#framer;
    framer.push(Buffer.prototype.latin1Slice.call(chunk, 0, chunk.length));
    let hasFramed = false;
    let pings = 0;
    for (let frame = framer.next(); frame !== undefined && !this.isEnded; frame = framer.next()) {
      if (frame.kind === "message") {
        hasFramed = true;
        this.#handleMessage(frame.text);
      } else {
        this.#context.stats.keepAlives++;
        if (frame.kind === "ping") pings++;
      }
    }
    // RFC 5626 §4.4.1: a ping is two line breaks, and is answered with one. Many at once cost one write.
    if (pings > 0) this.#write("\r\n".repeat(pings), undefined);
    if (framer.failure !== undefined) this.end(framer.failure);
    return hasFramed;
  }

  protected override get isMidFrame(): boolean {
    return this.#framer.pending > 0;
  }

  protected override handleClosed(): void {
    this.#onClosed();
  }

  #handleMessage(text: string): void {
    this.#counts.messagesIn++;
    this.#counts.bytesIn += text.length;
    this.#noteMessage();
    this.#context.sink.handleMessage(text, this.flow);
  }

  #write(text: string, onFailed: (() => void) | undefined): boolean {
    if (!this.isOpen) return false;
    if (this.backlog > this.#context.limits.backlog) {
      this.end("backlog");
      return false;
    }
    this.write(text, onFailed && ((error) => error && onFailed()));
    return true;
  }

  /** Ours is never settled: its idle time begins again. */
  #noteMessage(): void {
    if (this.#isOurs) this.setSettled(false);
  }
}
