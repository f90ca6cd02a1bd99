/** Numbers that the program keeps for each CPU, added up. */
import type { BpfMap } from "../../sys/bpf.ts";

/** Two 32-bit words of a number that never exceeds 2^53; nanoseconds do after 104 days, and are off by one then. */
function u64(words: Uint32Array, at: number): number {
  return (words[at >> 2] as number) + (words[(at >> 2) + 1] as number) * 0x1_0000_0000;
}

export class Counters {
  readonly #map: BpfMap;
  readonly #copy: number;

  constructor(map: BpfMap, cpus: number) {
    this.#map = map;
    this.#copy = map.value.bytes.length / cpus;
  }

  /** Of one index, at these offsets of its value. Throws `SystemError`. */
  read(index: number, ...offsets: readonly number[]): number[] {
    const { key, value } = this.#map;
    key.u32[0] = index;
    this.#map.read();
    return offsets.map((offset) => {
      let total = 0;
      for (let at = offset; at < value.bytes.length; at += this.#copy) total += u64(value.u32, at);
      return total;
    });
  }

  /** Of the index that was read last, the greatest number at this offset on any CPU. */
  latest(offset: number): number {
    const { value } = this.#map;
    let latest = 0;
    for (let at = offset; at < value.bytes.length; at += this.#copy) latest = Math.max(latest, u64(value.u32, at));
    return latest;
  }

  /** Throws `SystemError`. */
  clear(index: number): void {
    const { key, value } = this.#map;
    key.u32[0] = index;
    value.bytes.fill(0);
    this.#map.put();
  }
}
