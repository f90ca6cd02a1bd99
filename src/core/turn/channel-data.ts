/** ChannelData messages (RFC 8656 §12.4): channel number, length, application data; padded to four bytes on streams. */
import { readU16, writeU16 } from "../base/bytes.ts";

export const CHANNEL_HEADER_LENGTH = 4;

/** Whether a message that starts with `firstByte` is ChannelData (RFC 8656 §12, RFC 7983 §7: 64 to 79). */
export function looksLikeChannelData(firstByte: number): boolean {
  return firstByte >> 6 === 1;
}

export function encodeChannelHeader(out: Uint8Array, at: number, channel: number, length: number): void {
  writeU16(out, at, channel);
  writeU16(out, at + 2, length);
}

/** Length of the application data in a ChannelData message of `length` bytes; -1 when the header claims more. */
export function channelDataLength(data: Uint8Array, length: number): number {
  if (length < CHANNEL_HEADER_LENGTH) return -1;
  const claimed = readU16(data, 2);
  // RFC 8656 §12.6: over UDP padding is allowed but not required, so what follows the claimed length is ignored.
  return claimed > length - CHANNEL_HEADER_LENGTH ? -1 : claimed;
}
