/** RTP and RTCP packets, made by hand. */
import { writeU16, writeU32 } from "../../../src/core/base/bytes.ts";

export interface RtpFields {
  readonly payloadType?: number;
  readonly marker?: boolean;
  readonly sequence?: number;
  readonly timestamp?: number;
  readonly ssrc?: number;
  /** Words of CSRC, and of extension behind its own header. */
  readonly sources?: number;
  readonly extension?: number;
  readonly padding?: number;
  readonly payload?: number;
}

export function rtp(fields: RtpFields = {}): Uint8Array {
  const { payloadType = 0, sequence = 1, timestamp = 0, ssrc = 0x1234, sources = 0, payload = 160 } = fields;
  const extension = fields.extension === undefined ? 0 : 4 + fields.extension * 4;
  const padding = fields.padding ?? 0;
  const data = new Uint8Array(12 + sources * 4 + extension + payload + padding);
  data[0] = 0x80 | (padding > 0 ? 0x20 : 0) | (extension > 0 ? 0x10 : 0) | sources;
  data[1] = payloadType | (fields.marker === true ? 0x80 : 0);
  writeU16(data, 2, sequence & 0xffff);
  writeU32(data, 4, timestamp >>> 0);
  writeU32(data, 8, ssrc);
  if (fields.extension !== undefined) writeU16(data, 12 + sources * 4 + 2, fields.extension);
  if (padding > 0) data[data.length - 1] = padding;
  return data;
}

/** A receiver report without reports, and what follows it. */
export function rtcp(ssrc = 0x1234, type = 201, more: readonly number[] = []): Uint8Array {
  const data = new Uint8Array(8 + more.length);
  data[0] = 0x80;
  data[1] = type;
  data[3] = 1;
  writeU32(data, 4, ssrc);
  data.set(more, 8);
  return data;
}
