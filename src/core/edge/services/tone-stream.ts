/** The tone on its way to one caller: a packet every 20 ms, for which nothing is made. */

import { readU16, readU32, writeU16, writeU32 } from "../../base/bytes.ts";
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { Random } from "../../base/ports.ts";
import type { LegId, Route } from "../../relay/outputs.ts";
import { RTP_HEADER_LENGTH } from "../../rtp/header.ts";
import { TONE_SAMPLES, type ToneFrames } from "./tone.ts";

export const TONE_INTERVAL = 20;
/** Packets that take turns: what sends one may hold it for a moment. */
const PACKETS = 4;
/** RFC 3550 §5.1: version 2, no padding, extension or CSRC. */
const VERSION_2 = 0x80;

/** Media of our own: `data[0, length)` leaves by this route. The object and its bytes are used again after 60 ms. */
export interface ServiceMedia {
  readonly kind: "media";
  route: Route;
  readonly data: Uint8Array;
  readonly length: number;
}

/** To whom, by which leg and stream, and as what. */
export interface ToneParts {
  readonly leg: LegId;
  readonly stream: number;
  readonly frames: ToneFrames;
  readonly payloadType: number;
}

export class ToneStream implements Timed {
  deadline: Instant = 0 as Instant;
  heapIndex = -1;
  readonly leg: LegId;
  readonly stream: number;
  readonly #frames: ToneFrames;
  readonly #payloadType: number;
  readonly #packets: (ServiceMedia | undefined)[] = new Array<ServiceMedia | undefined>(PACKETS).fill(undefined);
  readonly #source: number;
  readonly #firstSequence: number;
  #timestamp: number;
  #count = 0;

  constructor({ leg, stream, frames, payloadType }: ToneParts, random: Random) {
    this.leg = leg;
    this.stream = stream;
    this.#frames = frames;
    this.#payloadType = payloadType;
    // RFC 3550 §5.1: number, timestamp and source begin at random.
    const bytes = random.bytes(10);
    this.#source = readU32(bytes, 0);
    this.#timestamp = readU32(bytes, 4);
    this.#firstSequence = readU16(bytes, 8);
  }

  isAs(stream: number, payloadType: number, frames: ToneFrames): boolean {
    return this.stream === stream && this.#payloadType === payloadType && this.#frames === frames;
  }

  /** The next packet, to be sent by this route. */
  next(route: Route): ServiceMedia {
    const packet = this.#packet(route);
    const { data } = packet;
    // RFC 3551 §4.1: the marker is on the first packet of a talkspurt.
    data[1] = this.#payloadType | (this.#count === 0 ? 0x80 : 0);
    writeU16(data, 2, (this.#firstSequence + this.#count) & 0xffff);
    writeU32(data, 4, this.#timestamp);
    data.set(this.#frames[this.#count % this.#frames.length] as Uint8Array, RTP_HEADER_LENGTH);
    this.#timestamp = (this.#timestamp + TONE_SAMPLES) >>> 0;
    this.#count++;
    return packet;
  }

  #packet(route: Route): ServiceMedia {
    const at = this.#count % PACKETS;
    const known = this.#packets[at];
    if (known !== undefined) {
      known.route = route;
      return known;
    }
    const length = RTP_HEADER_LENGTH + TONE_SAMPLES;
    const data = new Uint8Array(length);
    data[0] = VERSION_2;
    writeU32(data, 8, this.#source);
    const packet: ServiceMedia = { kind: "media", route, data, length };
    this.#packets[at] = packet;
    return packet;
  }
}
