/**
 * A capture of a run in the classic pcap format, with raw IP packets, for the tools that read it. Virtual time begins
 * on 1970-01-01.
 */
import { concatBytes } from "../core/base/bytes.ts";
import { encodeIp } from "./ip-bytes.ts";
import type { Sighting } from "./sightings.ts";

/** Raw IPv4 or IPv6, by the first four bits. */
const LINKTYPE_RAW = 101;
const LONGEST = 65_535;

/** In the byte order of the writer, as pcap has it: little-endian. */
function words(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value, value >>> 8, value >>> 16, value >>> 24]));
}

const header = words(0xa1b2c3d4, 2 | (4 << 16), 0, 0, LONGEST, LINKTYPE_RAW);

export class Capture {
  readonly #parts: Uint8Array[] = [header];
  /** Ends the capture; what it has, it keeps. */
  readonly stop: () => void;

  /** Takes down what the links of these names carry, or all links when there are none. */
  constructor(watch: (watcher: (sighting: Sighting) => void) => () => void, links: readonly string[]) {
    this.stop = watch((sighting) => {
      if (sighting.kind !== "carried" || (links.length > 0 && !links.includes(sighting.place))) return;
      this.#add(sighting);
    });
  }

  /** The file as it stands. */
  bytes(): Uint8Array {
    return concatBytes(...this.#parts);
  }

  #add({ at, packet }: Sighting): void {
    const microseconds = Math.round(at * 1000);
    const bytes = encodeIp(packet);
    const kept = bytes.subarray(0, LONGEST);
    const [seconds, rest] = [Math.floor(microseconds / 1_000_000), microseconds % 1_000_000];
    this.#parts.push(words(seconds, rest, kept.length, bytes.length), kept);
  }
}
