/** Report blocks (RFC 3550 §6.4.1), read in place: what the sender of RTCP hears of one source. */
import { readU32 } from "../base/bytes.ts";
import { RtcpType, rtcpCountAt, rtcpTypeAt } from "./rtcp.ts";

export const REPORT_BLOCK_LENGTH = 24;

/** Where the blocks of the packet `[at, next)` begin; -1 where it is no report, or is too short for as many as it says. */
export function reportBlocksAt(data: Uint8Array, at: number, next: number): number {
  const type = rtcpTypeAt(data, at);
  if (type !== RtcpType.SenderReport && type !== RtcpType.ReceiverReport) return -1;
  // RFC 3550 §6.4.1: what a sender says of its own packets stands in front.
  const begin = at + (type === RtcpType.SenderReport ? 28 : 8);
  return begin + rtcpCountAt(data, at) * REPORT_BLOCK_LENGTH > next ? -1 : begin;
}

export function reportedSourceOf(data: Uint8Array, block: number): number {
  return readU32(data, block);
}

/** Since its last report: 0 to 1. */
export function fractionLostOf(data: Uint8Array, block: number): number {
  return (data[block + 4] as number) / 256;
}

/** Below 0 where packets came twice. */
export function cumulativeLostOf(data: Uint8Array, block: number): number {
  return (readU32(data, block + 4) << 8) >> 8;
}

export function highestSequenceOf(data: Uint8Array, block: number): number {
  return readU32(data, block + 8);
}

/** In units of the timestamp. */
export function jitterOf(data: Uint8Array, block: number): number {
  return readU32(data, block + 12);
}
