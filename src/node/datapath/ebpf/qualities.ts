/** The numbers of media's sources, which the program goes on counting where user space has stopped (RFC 3550 §A.8). */
import type { MediaTraits } from "../../../core/relay/media-flow.ts";
import type { BpfMap } from "../../sys/bpf.ts";
import { QUALITY } from "./program.ts";

/** The program keeps jitter times 16, in units of the timestamp. */
const JITTER_SCALE = 16;

export class Qualities {
  readonly #map: BpfMap;

  constructor(map: BpfMap) {
    this.#map = map;
  }

  /** Before the flow of this index is there. Throws `SystemError`. */
  begin(index: number, { highest, jitter, clockRate }: MediaTraits): void {
    const { key, value } = this.#map;
    key.u32[0] = index;
    value.bytes.fill(0);
    value.u32[QUALITY.highest >> 2] = highest;
    value.u32[QUALITY.jitter >> 2] = Math.round((jitter * clockRate * JITTER_SCALE) / 1000);
    this.#map.put();
  }

  /** Throws `SystemError`. */
  read(index: number, clockRate: number): { highest: number; jitter: number; payloadType: number } {
    const { key, value } = this.#map;
    key.u32[0] = index;
    this.#map.read();
    const [highest, jitter, payloadType] = [QUALITY.highest, QUALITY.jitter, QUALITY.payloadType].map(
      (at) => value.u32[at >> 2] as number,
    ) as [number, number, number];
    return { highest, jitter: (jitter * 1000) / (clockRate * JITTER_SCALE), payloadType };
  }
}
