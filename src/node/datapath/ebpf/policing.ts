/**
 * The bandwidth of allocations, kept in the kernel for what is forwarded there. All flows of an allocation that go the same
 * way share one bucket, as they do above.
 */
import type { Instant } from "../../../core/base/machine.ts";
import type { TokenBucket } from "../../../core/base/token-bucket.ts";
import { kernelTime, monotonicNow } from "../../clock.ts";
import type { BpfMap } from "../../sys/bpf.ts";
import { BUCKET, MAPS } from "./program.ts";

interface Place {
  readonly index: number;
  users: number;
}

const billion = 1_000_000_000n;

export class Policing {
  readonly #map: BpfMap;
  readonly #view: DataView;
  readonly #places: Map<TokenBucket, Place> = new Map();
  readonly #free: number[] = [];
  /** 0 means that nothing is policed. */
  #next = 1;

  constructor(map: BpfMap) {
    this.#map = map;
    this.#view = new DataView(map.value.bytes.buffer);
  }

  /** The number of this bucket; undefined when there is no room for another. Throws `SystemError`. */
  take(bucket: TokenBucket): number | undefined {
    const known = this.#places.get(bucket);
    if (known !== undefined) {
      known.users++;
      return known.index;
    }
    const index = this.#free.pop() ?? (this.#next < MAPS.buckets.entries ? this.#next++ : undefined);
    if (index === undefined) return undefined;
    this.#write(index, bucket);
    this.#places.set(bucket, { index, users: 1 });
    return index;
  }

  /** As `take`, of every one, or of none. */
  takeAll(buckets: readonly TokenBucket[]): number[] | undefined {
    const taken: number[] = [];
    for (const bucket of buckets) {
      const index = this.take(bucket);
      if (index === undefined) {
        for (const one of buckets.slice(0, taken.length)) this.giveBack(one);
        return undefined;
      }
      taken.push(index);
    }
    return taken;
  }

  giveBack(bucket: TokenBucket): void {
    const place = this.#places.get(bucket);
    if (place === undefined || --place.users > 0) return;
    this.#places.delete(bucket);
    this.#free.push(place.index);
  }

  /** As full as it is: who comes and goes has no burst more for it. */
  #write(index: number, bucket: TokenBucket): void {
    const { rate, burst } = bucket.size;
    const now = monotonicNow();
    const fullAt = (now + (1_000 * (burst - bucket.left(now))) / rate) as Instant;
    this.#map.key.u32[0] = index;
    this.#view.setBigUint64(BUCKET.arrival, kernelTime(fullAt), true);
    this.#view.setBigUint64(BUCKET.tolerance, (BigInt(Math.round(burst)) * billion) / BigInt(Math.round(rate)), true);
    this.#view.setBigUint64(BUCKET.picosecondsAByte, (1_000n * billion) / BigInt(Math.round(rate)), true);
    this.#map.put();
  }
}
