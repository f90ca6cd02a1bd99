/** How many allocations there may be: in all, for a user, from a source. Held from the Allocate to the end of the allocation. */
import type { Address } from "../../base/address.ts";
import { hashSource } from "../../base/source-budget.ts";
import type { BucketSize } from "../../base/token-bucket.ts";
import type { Quotas } from "./config.ts";

/** How many allocations there are, never fewer than there are. */
export interface Counted {
  readonly total: number;
  readonly ofUser: number;
  readonly ofSource: number;
}

/** Counts the allocations of the whole server. */
export interface AllocationCounts {
  /** Counts one more, and says how many there are with it. */
  add(user: string, source: Readonly<Address>): Counted;
  /** Counts one less: what `add` has counted, and nothing else. */
  remove(user: string, source: Readonly<Address>): void;
}

/** The counts of a server that is alone. */
export class LocalCounts implements AllocationCounts {
  readonly #seed: number;
  #total = 0;
  readonly #byUser: Map<string, number> = new Map();
  /** By hash of the source: colliding sources share, as in the budgets. */
  readonly #bySource: Map<number, number> = new Map();

  constructor(seed: number) {
    this.#seed = seed;
  }

  add(user: string, source: Readonly<Address>): Counted {
    return {
      total: ++this.#total,
      ofUser: add(this.#byUser, user, 1),
      ofSource: add(this.#bySource, hashSource(source, this.#seed), 1),
    };
  }

  remove(user: string, source: Readonly<Address>): void {
    this.#total--;
    add(this.#byUser, user, -1);
    add(this.#bySource, hashSource(source, this.#seed), -1);
  }
}

export class AllocationQuota {
  readonly #quotas: Quotas;
  readonly #counts: AllocationCounts;

  constructor(quotas: Quotas, counts: AllocationCounts) {
    this.#quotas = quotas;
    this.#counts = counts;
  }

  /**
   * Takes one allocation's worth; a sentence when some quota is reached. Counts first and looks then, so that of two shards
   * that take the last one at once none does not see the other.
   */
  take(user: string, source: Readonly<Address>): string | undefined {
    const why = this.#whyNot(this.#counts.add(user, source));
    if (why !== undefined) this.#counts.remove(user, source);
    return why;
  }

  giveBack(user: string, source: Readonly<Address>): void {
    this.#counts.remove(user, source);
  }

  #whyNot({ total, ofUser, ofSource }: Counted): string | undefined {
    const { allocations, allocationsPerUser, allocationsPerSource } = this.#quotas;
    if (total > allocations) return `the server has its ${allocations} allocations`;
    if (ofUser > allocationsPerUser) return `the user has ${ofUser - 1} allocations of ${allocationsPerUser}`;
    if (ofSource > allocationsPerSource) {
      return `the source has ${ofSource - 1} allocations of ${allocationsPerSource}`;
    }
    return undefined;
  }
}

/** What each allocation may use. */
export interface AllocationLimits {
  /** Bytes a second, each way; undefined: as many as come. */
  readonly bandwidth: BucketSize | undefined;
  readonly newPeers: BucketSize;
}

/** However slow an allocation may be, its burst holds one datagram of any size. */
const LONGEST_DATAGRAM = 65_535;

export function allocationLimits({ bytesPerSecond: rate, newPeersPerSecond }: Quotas): AllocationLimits {
  return {
    bandwidth: rate > 0 ? { rate, burst: Math.max(rate, LONGEST_DATAGRAM) } : undefined,
    newPeers: { rate: newPeersPerSecond, burst: newPeersPerSecond * 4 },
  };
}

/** Returns how many there are then. */
function add<K>(counts: Map<K, number>, key: K, change: 1 | -1): number {
  const count = (counts.get(key) ?? 0) + change;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
  return count;
}
