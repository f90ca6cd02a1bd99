/** The live mappings of a NAT, found from inside and from outside. What has expired is gone, whoever asks. */
import type { Address } from "../../core/base/address.ts";
import { Deadlines, type Timed } from "../../core/base/deadlines.ts";
import type { Instant } from "../../core/base/machine.ts";
import { AddressMap } from "../address-map.ts";

export interface Mapped extends Timed {
  readonly inside: Readonly<Address>;
  readonly outside: Readonly<Address>;
  /** The remote endpoint, as far as mapping looks at it. */
  readonly toward: Readonly<Address>;
  readonly expires: Instant;
}

export class MappingTable<M extends Mapped> {
  /** By inside endpoint, then by as much of the remote endpoint as mapping looks at. */
  readonly #inside: AddressMap<AddressMap<M>> = new AddressMap();
  /** By outside endpoint: one each, unless ports are overloaded. */
  readonly #outside: AddressMap<M[]> = new AddressMap();
  readonly #perHost: AddressMap<number> = new AddressMap();
  readonly #deadlines: Deadlines<M> = new Deadlines();

  get size(): number {
    return this.#deadlines.size;
  }

  hostSize(inside: Readonly<Address>): number {
    return this.#perHost.find({ ...inside, port: 0 }) ?? 0;
  }

  find(inside: Readonly<Address>, toward: Readonly<Address>): M | undefined {
    return this.#inside.find(inside)?.find(toward);
  }

  at(outside: Readonly<Address>): readonly M[] {
    return this.#outside.find(outside) ?? [];
  }

  add(mapping: M): void {
    let ofInside = this.#inside.find(mapping.inside);
    if (ofInside === undefined) this.#inside.set(mapping.inside, (ofInside = new AddressMap()));
    ofInside.set(mapping.toward, mapping);
    this.#outside.set(mapping.outside, [...this.at(mapping.outside), mapping]);
    this.#count(mapping, 1);
    this.#deadlines.set(mapping, mapping.expires);
  }

  /** For a mapping that may now expire sooner than it did. */
  reschedule(mapping: M): void {
    this.#deadlines.set(mapping, mapping.expires);
  }

  /** Forgets what has expired. A refreshed mapping moves in the heap only when its old deadline comes. */
  expire(now: Instant): void {
    for (let due = this.#deadlines.popDue(now); due !== undefined; due = this.#deadlines.popDue(now)) {
      if (due.expires > now) this.#deadlines.set(due, due.expires);
      else this.#remove(due);
    }
  }

  clear(): void {
    const end = Number.POSITIVE_INFINITY as Instant;
    for (let any = this.#deadlines.popDue(end); any !== undefined; any = this.#deadlines.popDue(end)) this.#remove(any);
  }

  #remove(mapping: M): void {
    const ofInside = this.#inside.find(mapping.inside);
    ofInside?.delete(mapping.toward);
    if (ofInside?.size === 0) this.#inside.delete(mapping.inside);
    const rest = this.at(mapping.outside).filter((other) => other !== mapping);
    if (rest.length === 0) this.#outside.delete(mapping.outside);
    else this.#outside.set(mapping.outside, rest);
    this.#count(mapping, -1);
  }

  #count(mapping: M, change: 1 | -1): void {
    const host = { ...mapping.inside, port: 0 };
    const count = this.hostSize(host) + change;
    if (count === 0) this.#perHost.delete(host);
    else this.#perHost.set(host, count);
  }
}
