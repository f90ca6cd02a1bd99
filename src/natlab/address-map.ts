/** A map by IP address and port, on integers: chains by hash. Callers that mean the IP address alone pass port 0. */
import { type Address, copyAddress, hashAddress, sameAddress } from "../core/base/address.ts";

interface Entry<V> {
  readonly key: Readonly<Address>;
  value: V;
  next: Entry<V> | undefined;
}

/** No secret: nobody aims collisions at a simulation, and every run is the same. */
const SEED = 0x6e61746c;

export class AddressMap<V> {
  readonly #chains: Map<number, Entry<V>> = new Map();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(key: Readonly<Address>): V | undefined {
    let entry = this.#chains.get(hashAddress(key, SEED));
    while (entry !== undefined && !sameAddress(entry.key, key)) entry = entry.next;
    return entry?.value;
  }

  /** Sets the value of `key`, of which it keeps a copy. */
  set(key: Readonly<Address>, value: V): void {
    const hash = hashAddress(key, SEED);
    const head = this.#chains.get(hash);
    for (let entry = head; entry !== undefined; entry = entry.next) {
      if (sameAddress(entry.key, key)) {
        entry.value = value;
        return;
      }
    }
    this.#chains.set(hash, { key: copyAddress(key), value, next: head });
    this.#size++;
  }

  delete(key: Readonly<Address>): void {
    const hash = hashAddress(key, SEED);
    let before: Entry<V> | undefined;
    for (let entry = this.#chains.get(hash); entry !== undefined; entry = entry.next) {
      if (sameAddress(entry.key, key)) {
        this.#size--;
        if (before !== undefined) before.next = entry.next;
        else if (entry.next !== undefined) this.#chains.set(hash, entry.next);
        else this.#chains.delete(hash);
        return;
      }
      before = entry;
    }
  }

  clear(): void {
    this.#chains.clear();
    this.#size = 0;
  }

  *values(): Generator<V> {
    for (const head of this.#chains.values()) {
      for (let entry: Entry<V> | undefined = head; entry !== undefined; entry = entry.next) yield entry.value;
    }
  }
}
