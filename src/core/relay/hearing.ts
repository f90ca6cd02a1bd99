/**
 * What a party says it hears: the reports of its RTCP, read as they pass. It tells of what is lost behind us, which nothing
 * else here does. Nothing is allocated for a report.
 */
import type { Instant } from "../base/machine.ts";
import type { StreamDescription } from "../call/description.ts";
import {
  cumulativeLostOf,
  fractionLostOf,
  highestSequenceOf,
  jitterOf,
  REPORT_BLOCK_LENGTH,
  reportBlocksAt,
  reportedSourceOf,
} from "../rtp/report-block.ts";
import { isRtcp, nextRtcp, rtcpCountAt } from "../rtp/rtcp.ts";
import type { LegStream } from "./leg.ts";

/** How long it is sent packets and reports none before that is told: its first report may be older than the first packet. */
const DEAF_MS = 10_000;

export interface HearingReport {
  /** When it last reported that it hears; undefined: it never did. */
  readonly heardAt: Instant | undefined;
  /** Of the packets between its last two reports that had one to tell of: 0 to 1. */
  readonly fractionLost: number;
  readonly lost: number;
  /** Milliseconds. */
  readonly jitter: number;
  /** In a row up to now, that tell of no packet though it was sent some for 10 s. */
  readonly deafReports: number;
}

export class Hearing {
  #heardAt: Instant | undefined;
  #fractionLost = 0;
  #lost = 0;
  #jitter = 0;
  #deafReports = 0;
  #deafSince: Instant | undefined;
  #highest = -1;
  /** Packets toward it up to its last report. */
  #sent = 0;

  /** Undefined while there is nothing to tell. */
  get report(): HearingReport | undefined {
    if (this.#heardAt === undefined && this.#deafReports === 0) return undefined;
    return {
      heardAt: this.#heardAt,
      fractionLost: this.#fractionLost,
      lost: this.#lost,
      jitter: this.#jitter,
      deafReports: this.#deafReports,
    };
  }

  /** The block at `block` is about what it is sent. */
  handleBlock(data: Uint8Array, block: number, clockRate: number, sent: number, now: Instant): void {
    const highest = highestSequenceOf(data, block);
    // Some go on with the block of a source that they hear no more: its highest number stands still.
    if (highest === this.#highest) return this.handleNone(sent, now);
    this.#highest = highest;
    this.#heardAt = now;
    this.#fractionLost = fractionLostOf(data, block);
    this.#lost = cumulativeLostOf(data, block);
    this.#jitter = jitterOf(data, block) / (clockRate / 1000);
    this.#deafReports = 0;
    this.#deafSince = undefined;
    this.#sent = sent;
  }

  /** RFC 3550 §6.4: it has heard nobody since its last report. That is right where it was sent nothing. */
  handleNone(sent: number, now: Instant): void {
    const isSent = sent > this.#sent;
    this.#sent = sent;
    if (!isSent) this.#deafSince = undefined;
    else {
      this.#deafSince ??= now;
      if (now - this.#deafSince >= DEAF_MS) this.#deafReports++;
    }
  }
}

/** RTCP of the stream's party, from where it was accepted. */
export function noteReports(stream: LegStream, data: Uint8Array, length: number, now: Instant): void {
  const other = stream.leg.opposite?.streams[stream.index];
  if (other === undefined || stream.carrier !== "rtp" || isSealed(stream.description, other.description)) return;
  // RFC 3711 §3.4: SRTCP is not whole behind its first packet, so that keys agreed on by ZRTP are seen here too.
  if (!isRtcp(data, length)) return;
  for (let at = 0; at < length; ) {
    const next = nextRtcp(data, length, at);
    const blocks = reportBlocksAt(data, at, next);
    if (blocks >= 0) noteReport(stream, other, data, blocks, rtcpCountAt(data, at), now);
    at = next;
  }
}

function noteReport(
  { hearing, clockRate, media }: LegStream,
  { leg, meter }: LegStream,
  data: Uint8Array,
  blocks: number,
  count: number,
  now: Instant,
): void {
  const isService = leg.party.service !== undefined;
  // On a shared port the route counts RTCP too, which is nothing to hear.
  const sent = isService ? (media.route?.packets ?? 0) : media.route === undefined ? 0 : meter.received;
  if (count === 0) return hearing.handleNone(sent, now);
  for (let n = 0; n < count; n++) {
    const block = blocks + n * REPORT_BLOCK_LENGTH;
    // A service has one source, whose number is its own affair.
    if (!isService && meter.ssrc !== reportedSourceOf(data, block)) continue;
    return hearing.handleBlock(data, block, clockRate, sent, now);
  }
}

/** Whether its packets are encrypted: by what it is called, or as both have named keys all the same. */
function isSealed(a: StreamDescription | undefined, b: StreamDescription | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  const isSecure = a.profile.toUpperCase().includes("SAVP");
  const hasKeys = a.sharedKeys.length > 0 && b.sharedKeys.length > 0;
  return isSecure || hasKeys || (a.certificate !== undefined && b.certificate !== undefined);
}
