/**
 * The fixed header of an RTP packet (RFC 3550 §5.1), read in place: functions on the bytes, no object per packet. All but
 * `isRtp` and `rtpHeaderLength` ask that it was found to be one.
 */
import { readU16, readU32 } from "../base/bytes.ts";

export const RTP_HEADER_LENGTH = 12;

/** Whether `data[0, length)` is an RTP packet whose header, with what it says follows, fits in. */
export function isRtp(data: Uint8Array, length: number): boolean {
  return length >= RTP_HEADER_LENGTH && (data[0] as number) >>> 6 === 2 && rtpHeaderLength(data, length) <= length;
}

/** RFC 3550 §5.1, §5.3.1: with the CSRC list and the extension. More than `length` where the packet is cut short. */
export function rtpHeaderLength(data: Uint8Array, length: number): number {
  const first = data[0] as number;
  const fixed = RTP_HEADER_LENGTH + (first & 0x0f) * 4;
  if ((first & 0x10) === 0) return fixed;
  return fixed + 4 > length ? fixed + 4 : fixed + 4 + readU16(data, fixed + 2) * 4;
}

export function hasMarker(data: Uint8Array): boolean {
  return (data[1] as number) >= 0x80;
}

export function payloadTypeOf(data: Uint8Array): number {
  return (data[1] as number) & 0x7f;
}

export function sequenceOf(data: Uint8Array): number {
  return readU16(data, 2);
}

export function timestampOf(data: Uint8Array): number {
  return readU32(data, 4);
}

export function ssrcOf(data: Uint8Array): number {
  return readU32(data, 8);
}

/** RFC 3550 §5.1: bytes of padding at the end, the last of which counts them; undefined where that cannot be. */
export function paddingOf(data: Uint8Array, length: number): number | undefined {
  if (((data[0] as number) & 0x20) === 0) return 0;
  const count = data[length - 1] as number;
  return count === 0 || rtpHeaderLength(data, length) + count > length ? undefined : count;
}
