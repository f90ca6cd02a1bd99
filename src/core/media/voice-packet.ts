/** Numbered packets that look like a call's: 20 ms of silence in G.711, as RTP. Twelve bytes of header and 160 of speech. */
import { readU32, writeU16, writeU32 } from "../base/bytes.ts";

export const VOICE_PACKET_BYTES = 172;
/** Milliseconds of speech in one. */
export const VOICE_PACKET_INTERVAL = 20;

const SAMPLES = 160;
const HEADER_BYTES = 12;
/** RFC 3550 §5.1: version 2, no padding, extension or CSRC. */
const VERSION_2 = 0x80;
const PCMU = 0;
const SILENCE = 0xff;

/** `source`: the SSRC, by which a stream knows its own. */
export function encodeVoicePacket(source: number, sequence: number): Uint8Array {
  const data = new Uint8Array(VOICE_PACKET_BYTES).fill(SILENCE, HEADER_BYTES);
  data[0] = VERSION_2;
  data[1] = PCMU;
  writeU16(data, 2, sequence & 0xffff);
  writeU32(data, 4, (sequence * SAMPLES) >>> 0);
  writeU32(data, 8, source);
  return data;
}

/** The number of a packet of this source, `last` being that of the latest; undefined for anything else. */
export function decodeVoicePacket(source: number, data: Uint8Array, last: number): number | undefined {
  if (data.length !== VOICE_PACKET_BYTES || data[0] !== VERSION_2 || readU32(data, 8) !== source) return undefined;
  // RFC 3550 §5.1: the timestamp wraps, after less than a week, and 160 does not divide 2^32. Its distance from the
  // latest one does not mind.
  const behind = (last * SAMPLES - readU32(data, 4)) >>> 0;
  return behind % SAMPLES === 0 && behind <= last * SAMPLES ? last - behind / SAMPLES : undefined;
}
