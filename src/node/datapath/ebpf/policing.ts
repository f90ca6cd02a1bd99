/**
 * The bandwidth of allocations, kept in the kernel for what is forwarded there. All flows of an allocation that go the same
 * way share one bucket, as they do above. User space goes on with its own beside it, and neither sees what the other lets
 * through: now and then both are told what is left when everything counts.
 */
import type { Instant } from "../../../core/base/machine.ts";
import type { TokenBucket } from "../../../core/base/token-bucket.ts";
import type { Account } from "../../../core/turn/server/account.ts";
import { kernelTime, monotonicNow } from "../../clock.ts";
import type { BpfMap } from "../../sys/bpf.ts";
import { BUCKET, MAPS } from "./program.ts";

/** What an allocation may carry one way. */
export interface Limit {
  readonly bucket: TokenBucket;
  readonly account: Account;
  /** What of the account counts. */
  readonly way: "bytesToPeers" | "bytesToClient";
}

/** A bucket in the kernel, as long as anybody uses it. */
export interface Place<User> {
  readonly index: number;
  readonly limit: Limit;
  readonly users: Set<User>;
  /** Users that are not on their way out. */
  living: number;
  /** When both buckets were last told the same: how many bytes they were short of a burst, and how many had been carried. */
  at: Instant;
  short: number;
  carried: number;
}

const billion = 1_000_000_000n;

export class Policing<User> {
  readonly #map: BpfMap;
  readonly #view: DataView;
  readonly #places: Map<TokenBucket, Place<User>> = new Map();
  readonly #free: number[] = [];
  /** 0 means that nothing is policed. */
  #next = 1;

  constructor(map: BpfMap) {
    this.#map = map;
    this.#view = new DataView(map.value.bytes.buffer);
  }

  /** One for each limit; undefined when there is no room for all of them, and then it has none. Throws `SystemError`. */
  takeAll(limits: readonly Limit[], user: User): Place<User>[] | undefined {
    const taken: Place<User>[] = [];
    try {
      for (const limit of limits) {
        const place = this.#places.get(limit.bucket) ?? this.#open(limit);
        if (place === undefined) break;
        place.users.add(user);
        place.living++;
        taken.push(place);
      }
      return taken.length === limits.length ? taken : undefined;
    } finally {
      if (taken.length < limits.length) for (const one of taken) this.#leave(one, user);
    }
  }

  #leave(place: Place<User>, user: User): void {
    place.living--;
    this.release(place, user);
  }

  /** Once nothing of the user's, which is not living, is on its way through the program: then the place may be another's. */
  release(place: Place<User>, user: User): void {
    place.users.delete(user);
    if (place.users.size > 0) return;
    this.#places.delete(place.limit.bucket);
    this.#free.push(place.index);
  }

  /**
   * Lets both buckets know of everything that the account has counted; what the kernel has forwarded is to be counted first.
   * Each alone knows exactly when its own packets came, and so a lower bound of what is missing now; the third is that no
   * more has come in since they last agreed than the time was good for. Throws `SystemError`.
   */
  settle(place: Place<User>): void {
    const { bucket, account, way } = place.limit;
    const { rate, burst } = bucket.size;
    const now = monotonicNow();
    const carried = account.traffic[way];
    const net = place.short + (carried - place.carried) - (rate * (now - place.at)) / 1_000;
    const here = this.#shortOf(place);
    const short = Math.max(0, here, burst - bucket.left(now), net);
    if (short > here) this.#write(place, short);
    bucket.settle(burst - short, now);
    place.at = now;
    place.short = short;
    place.carried = carried;
  }

  /** As full as it is: who comes and goes has no burst more for it. */
  #open(limit: Limit): Place<User> | undefined {
    const index = this.#free.pop() ?? (this.#next < MAPS.buckets.entries ? this.#next++ : undefined);
    if (index === undefined) return undefined;
    const { bucket, account, way } = limit;
    const now = monotonicNow();
    const short = bucket.size.burst - bucket.left(now);
    const users: Set<User> = new Set();
    const place = { index, limit, users, living: 0, at: now, short, carried: account.traffic[way] };
    this.#places.set(bucket, place);
    try {
      this.#write(place, short);
      return place;
    } catch (error) {
      this.#places.delete(bucket);
      this.#free.push(index);
      throw error;
    }
  }

  /** Bytes that the kernel's bucket is short of a burst. */
  #shortOf({ index, limit }: Place<User>): number {
    this.#map.key.u32[0] = index;
    this.#map.read();
    const ahead = Number(this.#view.getBigUint64(BUCKET.arrival, true) - process.hrtime.bigint());
    return Math.max(0, (ahead * limit.bucket.size.rate) / 1e9);
  }

  #write({ index, limit }: Place<User>, short: number): void {
    const { rate, burst } = limit.bucket.size;
    const fullAt = (monotonicNow() + (1_000 * short) / rate) as Instant;
    this.#map.key.u32[0] = index;
    this.#view.setBigUint64(BUCKET.arrival, kernelTime(fullAt), true);
    this.#view.setBigUint64(BUCKET.tolerance, (BigInt(Math.round(burst)) * billion) / BigInt(Math.round(rate)), true);
    this.#view.setBigUint64(BUCKET.picosecondsAByte, (1_000n * billion) / BigInt(Math.round(rate)), true);
    this.#map.put();
  }
}
