/** Allocations by 5-tuple. Only authenticated clients are ever in it. */
import { hashAddress } from "../../base/address.ts";
import type { Allocation } from "./allocation.ts";
import { type ClientPath, samePath } from "./client-path.ts";

const FIRST_SIZE = 64;

export class ClientTable {
  readonly #seed: number;
  /** Heads of chains, by the low bits of the hash: as many as allocations, or more, and a power of two. */
  #chains: (Allocation | undefined)[] = blankChains(FIRST_SIZE);
  #count = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  #slotOf(path: ClientPath): number {
    return hashAddress(path.remote, this.#seed ^ path.listener ^ path.connection) & (this.#chains.length - 1);
  }

  find(path: ClientPath): Allocation | undefined {
    let allocation = this.#chains[this.#slotOf(path)];
    while (allocation !== undefined && !samePath(allocation.path, path)) allocation = allocation.next;
    return allocation;
  }

  add(allocation: Allocation): void {
    if (this.#count++ === this.#chains.length) this.#grow();
    this.#link(allocation);
  }

  remove(allocation: Allocation): void {
    const slot = this.#slotOf(allocation.path);
    let before: Allocation | undefined;
    let at = this.#chains[slot];
    while (at !== undefined && at !== allocation) {
      before = at;
      at = at.next;
    }
    if (at === undefined) return;
    if (before === undefined) this.#chains[slot] = allocation.next;
    else before.next = allocation.next;
    allocation.next = undefined;
    this.#count--;
  }

  /** Every allocation, safe to end while walking. */
  all(): Allocation[] {
    const list: Allocation[] = [];
    for (const head of this.#chains) {
      for (let a = head; a !== undefined; a = a.next) list.push(a);
    }
    return list;
  }

  #link(allocation: Allocation): void {
    const slot = this.#slotOf(allocation.path);
    allocation.next = this.#chains[slot];
    this.#chains[slot] = allocation;
  }

  #grow(): void {
    const all = this.all();
    this.#chains = blankChains(2 * this.#chains.length);
    for (const allocation of all) this.#link(allocation);
  }
}

function blankChains(size: number): (Allocation | undefined)[] {
  return new Array<Allocation | undefined>(size).fill(undefined);
}
