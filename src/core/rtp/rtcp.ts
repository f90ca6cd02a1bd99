/** RTCP (RFC 3550 §6), read in place: a datagram holds a compound of packets, each with its length in front. */
import { readU16, readU32 } from "../base/bytes.ts";

/** RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2. */
export const RtcpType = {
  SenderReport: 200,
  ReceiverReport: 201,
  SourceDescription: 202,
  Bye: 203,
  App: 204,
  TransportFeedback: 205,
  PayloadFeedback: 206,
  ExtendedReport: 207,
} as const;

const HEADER_LENGTH = 8;

/** Whether `data[0, length)` is RTCP, every packet of it whole. RFC 5506 §3.4.2: any type may come first. */
export function isRtcp(data: Uint8Array, length: number): boolean {
  if (length < HEADER_LENGTH) return false;
  let at = 0;
  while (at < length) {
    const next = nextRtcp(data, length, at);
    if (next < 0) return false;
    at = next;
  }
  return true;
}

/**
 * Where the packet after that at `at` begins; -1 where that at `at` is none or is cut short. SRTCP is not whole behind its
 * first packet: to look at that alone, ask for one step.
 */
export function nextRtcp(data: Uint8Array, length: number, at: number): number {
  if (at + 4 > length || (data[at] as number) >>> 6 !== 2) return -1;
  const type = rtcpTypeAt(data, at);
  // RFC 5761 §4: what else there may be stands in this range, and what is RTP does not.
  if (type < 192 || type > 223) return -1;
  const next = at + 4 + readU16(data, at + 2) * 4;
  return next > length ? -1 : next;
}

export function rtcpTypeAt(data: Uint8Array, at: number): number {
  return data[at + 1] as number;
}

/** The source that sends: the first word behind the header in every packet but SDES, whose first chunk has it there too. */
export function rtcpSenderOf(data: Uint8Array): number {
  return readU32(data, 4);
}

/** The five bits beside the version: a count of reports or sources, or the format of feedback. */
export function rtcpCountAt(data: Uint8Array, at: number): number {
  return (data[at] as number) & 0x1f;
}
