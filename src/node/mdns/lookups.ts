/** Names that are being looked up, each until somebody has answered or its time is over. */
import { type Address, formatIp, sameIp } from "../../core/base/address.ts";
import { isPossible } from "./places.ts";

/** An address without a port; or a sentence that says why there is none. */
export type Found = { readonly address: Readonly<Address> } | { readonly why: string };

/** RFC 6762 §5.2: a second between the first two, and each time twice as long. */
const ASK_AT_MS: readonly number[] = [0, 1_000, 3_000];
const GIVE_UP_MS = 4_000;
/** At once. A peer has one name for each address. */
const MAX_NAMES = 32;

interface Lookup {
  readonly result: PromiseWithResolvers<Found>;
  readonly timers: readonly NodeJS.Timeout[];
}

export class Lookups {
  readonly #open: Map<string, Lookup> = new Map();

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** `ask` is called for each question that is to be sent. */
  find(name: string, ask: () => void): Promise<Found> {
    const known = this.#open.get(name);
    if (known !== undefined) return known.result.promise;
    if (this.#open.size >= MAX_NAMES) {
      return Promise.resolve({ why: `The peer has told more than ${MAX_NAMES} names.` });
    }
    const giveUp = (): void => this.#end(name, { why: `Nobody on this link answers for ${name}.` });
    const timers = [...ASK_AT_MS.map((at) => setTimeout(ask, at)), setTimeout(giveUp, GIVE_UP_MS)];
    const result = Promise.withResolvers<Found>();
    this.#open.set(name, { result, timers });
    return result.promise;
  }

  take(name: string, addresses: readonly Readonly<Address>[]): void {
    const [address, ...others] = addresses;
    if (address === undefined || !this.#open.has(name)) return;
    // mDNS candidates draft §3.2: a name stands for one address.
    if (others.some((other) => !sameIp(other, address))) {
      this.#end(name, { why: `Several addresses were answered for ${name}.` });
    } else if (!isPossible(address)) {
      this.#end(name, { why: `${formatIp(address)} was answered for ${name}, where no neighbour can be.` });
    } else this.#end(name, { address });
  }

  close(): void {
    for (const name of [...this.#open.keys()]) this.#end(name, { why: "The connection is closed." });
  }

  #end(name: string, found: Found): void {
    const lookup = this.#open.get(name);
    if (lookup === undefined) return;
    this.#open.delete(name);
    for (const timer of lookup.timers) clearTimeout(timer);
    lookup.result.resolve(found);
  }
}
