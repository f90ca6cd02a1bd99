/** Allocations by 5-tuple. Only authenticated clients are ever in it. */
import { hashAddress } from "../../base/address.ts";
import type { Allocation } from "./allocation.ts";
import { type ClientPath, samePath } from "./client-path.ts";

export class ClientTable {
  readonly #seed: number;
  /** Heads of chains by hash: integers as keys, nothing concatenated. */
  readonly #chains: Map<number, Allocation> = new Map();

  constructor(seed: number) {
    this.#seed = seed;
  }

  #hash(path: ClientPath): number {
    return hashAddress(path.remote, this.#seed ^ path.listener ^ path.connection);
  }

  find(path: ClientPath): Allocation | undefined {
    let allocation = this.#chains.get(this.#hash(path));
    while (allocation !== undefined && !samePath(allocation.path, path)) allocation = allocation.next;
    return allocation;
  }

  add(allocation: Allocation): void {
    const hash = this.#hash(allocation.path);
    allocation.next = this.#chains.get(hash);
    this.#chains.set(hash, allocation);
  }

  remove(allocation: Allocation): void {
    const hash = this.#hash(allocation.path);
    const rest: Allocation[] = [];
    let found = false;
    for (let a = this.#chains.get(hash); a !== undefined; a = a.next) {
      if (a === allocation) found = true;
      else rest.push(a);
    }
    if (!found) return;
    this.#chains.delete(hash);
    let head: Allocation | undefined;
    for (const a of rest) {
      a.next = head;
      head = a;
    }
    if (head !== undefined) this.#chains.set(hash, head);
    allocation.next = undefined;
  }

  /** Every allocation, safe to end while walking. */
  all(): Allocation[] {
    const list: Allocation[] = [];
    for (const head of this.#chains.values()) {
      for (let a: Allocation | undefined = head; a !== undefined; a = a.next) list.push(a);
    }
    return list;
  }
}
