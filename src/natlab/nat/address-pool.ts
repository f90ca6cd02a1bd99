/** Which of the NAT's outside addresses a new mapping gets (RFC 4787 §4.1). */
import { type Address, copyAddress, sameIp } from "../../core/base/address.ts";
import { AddressMap } from "../address-map.ts";
import type { NatBehavior } from "../behavior.ts";

export class AddressPool {
  readonly #pooling: NatBehavior["pooling"];
  readonly #paired: AddressMap<Readonly<Address>> = new AddressMap();
  #addresses: readonly Readonly<Address>[];
  #turn = 0;

  constructor(pooling: NatBehavior["pooling"], addresses: readonly Readonly<Address>[]) {
    this.#pooling = pooling;
    this.#addresses = addresses;
  }

  /** An outside address for a mapping of `inside`; its port means nothing. Undefined when there is none. */
  choose(inside: Readonly<Address>): Readonly<Address> | undefined {
    if (this.#pooling === "arbitrary") return this.#next();
    // RFC 4787 REQ-2: all mappings of one inside host have the same outside address.
    const host = copyAddress(inside);
    host.port = 0;
    const known = this.#paired.find(host);
    if (known !== undefined) return known;
    const chosen = this.#next();
    if (chosen !== undefined) this.#paired.set(host, chosen);
    return chosen;
  }

  holds(address: Readonly<Address>): boolean {
    return this.#addresses.some((own) => sameIp(own, address));
  }

  /** Forgets who has which; from now on the pool is `addresses`. */
  reset(addresses: readonly Readonly<Address>[] = this.#addresses): void {
    this.#addresses = addresses;
    this.#paired.clear();
    this.#turn = 0;
  }

  #next(): Readonly<Address> | undefined {
    const { length } = this.#addresses;
    return length === 0 ? undefined : this.#addresses[this.#turn++ % length];
  }
}
