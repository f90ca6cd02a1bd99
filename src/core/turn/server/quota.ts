/** How many allocations there may be: in all, for a user, from a source. Held from the Allocate to the end of the allocation. */
import type { Address } from "../../base/address.ts";
import { hashSource } from "../../base/source-budget.ts";
import type { Quotas } from "./config.ts";

export class AllocationQuota {
  readonly #quotas: Quotas;
  readonly #seed: number;
  #total = 0;
  readonly #byUser: Map<string, number> = new Map();
  /** By hash of the source: colliding sources share, as in the budgets. */
  readonly #bySource: Map<number, number> = new Map();

  constructor(quotas: Quotas, seed: number) {
    this.#quotas = quotas;
    this.#seed = seed;
  }

  /** Takes one allocation's worth; a sentence when some quota is reached. */
  take(user: string, source: Readonly<Address>): string | undefined {
    const q = this.#quotas;
    const hash = hashSource(source, this.#seed);
    const ofUser = this.#byUser.get(user) ?? 0;
    const ofSource = this.#bySource.get(hash) ?? 0;
    if (this.#total >= q.allocations) return `the server has its ${q.allocations} allocations`;
    if (ofUser >= q.allocationsPerUser) return `the user has ${ofUser} allocations of ${q.allocationsPerUser}`;
    if (ofSource >= q.allocationsPerSource)
      return `the source has ${ofSource} allocations of ${q.allocationsPerSource}`;
    this.#total++;
    this.#byUser.set(user, ofUser + 1);
    this.#bySource.set(hash, ofSource + 1);
    return undefined;
  }

  giveBack(user: string, source: Readonly<Address>): void {
    const hash = hashSource(source, this.#seed);
    this.#total--;
    decrement(this.#byUser, user);
    decrement(this.#bySource, hash);
  }
}

function decrement<K>(counts: Map<K, number>, key: K): void {
  const left = (counts.get(key) ?? 0) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
