/** TLS records (RFC 8446 §5.1) on a stream of bytes: their headers are as real ones, what is in them is not secret. */
import { concatBytes, readU16, writeU16 } from "../../core/base/bytes.ts";

export const ContentType = { ChangeCipherSpec: 20, Alert: 21, Handshake: 22, ApplicationData: 23 } as const;

export interface TlsRecord {
  readonly type: number;
  readonly body: Uint8Array;
}

const HEADER = 5;
/** RFC 8446 §5.2: 2^14 bytes of plaintext, and 256 for what protects it. */
const LONGEST = 16_640;
/** RFC 8446 §5.1: bytes of plaintext in one record. */
export const LONGEST_FRAGMENT = 16_384;

export function encodeRecord(type: number, body: Uint8Array, version = 0x0303): Uint8Array {
  const record = new Uint8Array(HEADER + body.length);
  record[0] = type;
  writeU16(record, 1, version);
  writeU16(record, 3, body.length);
  record.set(body, HEADER);
  return record;
}

export class RecordReader {
  #bytes: Uint8Array = new Uint8Array(0);
  /** What came in is no TLS, and nothing after it can be read. */
  hasFailed = false;

  push(bytes: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : concatBytes(this.#bytes, bytes);
  }

  /** The next whole record; undefined until more arrives, or for ever once it has failed. */
  next(): TlsRecord | undefined {
    const bytes = this.#bytes;
    this.hasFailed ||= !mayBeRecord(bytes);
    if (this.hasFailed || bytes.length < HEADER) return undefined;
    const end = HEADER + readU16(bytes, 3);
    if (bytes.length < end) return undefined;
    this.#bytes = bytes.subarray(end);
    return { type: bytes[0] as number, body: bytes.subarray(HEADER, end) };
  }
}

function mayBeRecord(bytes: Uint8Array): boolean {
  const { ChangeCipherSpec, ApplicationData } = ContentType;
  const [type = ContentType.Handshake, major = 3, minor = 3] = bytes;
  if (type < ChangeCipherSpec || type > ApplicationData || major !== 3 || minor > 4) return false;
  return bytes.length < HEADER || readU16(bytes, 3) <= LONGEST;
}
