/** Foundations of an agent's own candidates (RFC 8445 §5.1.1.3): one short string for all that are alike. */
import { type Address, formatAddress, formatIp } from "../base/address.ts";
import type { CandidateType } from "./candidate.ts";

export class Foundations {
  readonly #known: Map<string, string> = new Map();

  /** The same for the same type, IP address of the base, and server. */
  of(type: CandidateType, base: Readonly<Address>, server: Readonly<Address> | undefined): string {
    const key = `${type} ${formatIp(base)} ${server === undefined ? "" : formatAddress(server)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const fresh = String(this.#known.size + 1);
    this.#known.set(key, fresh);
    return fresh;
  }
}
