/**
 * What who forwards media without asking has to make of a source's numbers, told once more: RFC 3550 §A.1, §A.3 and §A.8 with numbers as long as
 * they come, where the program has 32 bits.
 */
import type { MediaTraits } from "../../../src/core/relay/media-flow.ts";

export class RtpSource implements MediaTraits {
  readonly ssrc: number;
  readonly payloadTypeNumbers: readonly number[];
  readonly clockRate: number;
  readonly jitter = 0;
  /** Extended. */
  highest: number;
  received = 0;
  payloadType = 0;
  /** Times 16, in units of the timestamp. */
  scaledJitter = 0n;
  #transit: bigint | undefined;

  constructor(ssrc: number, payloadTypes: readonly number[], clockRate: number, highest: number) {
    this.ssrc = ssrc;
    this.payloadTypeNumbers = payloadTypes;
    this.clockRate = clockRate;
    this.highest = highest;
  }

  get payloadTypes(): Uint32Array {
    const words = new Uint32Array(4);
    for (const type of this.payloadTypeNumbers) words[type >> 5]! |= 1 << (type & 31);
    return words;
  }

  /** Whether it is RTP of this source that goes on where the packets before were. */
  isMedia(payload: Uint8Array): boolean {
    const bytes = Buffer.from(payload);
    if (bytes.length < 12 || bytes[0]! >> 6 !== 2) return false;
    const hasExtension = (bytes[0]! & 16) !== 0;
    const contributors = 12 + 4 * (bytes[0]! % 16);
    if (hasExtension && bytes.length < contributors + 4) return false;
    const header = hasExtension ? contributors + 4 + 4 * bytes.readUInt16BE(contributors + 2) : contributors;
    // RFC 5761 §4: 192 to 223 are RTCP, whatever was agreed on.
    const isRtcp = bytes[1]! >= 192 && bytes[1]! < 224;
    const ahead = this.#ahead(bytes.readUInt16BE(2));
    return (
      header <= bytes.length &&
      !isRtcp &&
      this.payloadTypeNumbers.includes(bytes[1]! % 128) &&
      bytes.readUInt32BE(8) === this.ssrc &&
      ahead <= 3_000 &&
      ahead >= -100
    );
  }

  #ahead(sequence: number): number {
    const ahead = (sequence - this.highest) & 0xffff;
    return ahead < 32_768 ? ahead : ahead - 65_536;
  }

  /** `at`: nanoseconds; undefined where jitter is not asked for. */
  observe(payload: Uint8Array, at?: bigint): void {
    const bytes = Buffer.from(payload);
    this.highest += Math.max(0, this.#ahead(bytes.readUInt16BE(2)));
    this.payloadType = bytes[1]! % 128;
    this.received++;
    if (at === undefined) return;
    const rate = BigInt(this.clockRate);
    const transit = BigInt.asIntN(32, ((at / 1_000n) * rate) / 1_000_000n - BigInt(bytes.readUInt32BE(4)));
    const change = this.#transit === undefined ? undefined : BigInt.asIntN(32, transit - this.#transit);
    this.#transit = transit;
    if (change === undefined) return;
    const length = change < 0n ? -change : change;
    if (length < 60n * rate) this.scaledJitter += length - ((this.scaledJitter + 8n) >> 4n);
  }
}
