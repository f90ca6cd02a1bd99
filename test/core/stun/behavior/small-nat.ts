/** Just enough of RFC 4787 to be discovered: a NAT, or a firewall, at one hop. */
import assert from "node:assert/strict";
import { type Address, formatAddress, formatIp, parseIp } from "../../../../src/core/base/address.ts";
import type { Filtering, Hairpinning } from "../../../../src/core/stun/behavior/report.ts";
import { SeededRandom } from "../../../support/crypto.ts";

export function at(text: string, port = 0): Address {
  const address = parseIp(text, port);
  assert.ok(address);
  return address;
}

export interface NatBehavior {
  readonly mapping: "endpoint-independent" | "address-dependent" | "address-and-port-dependent";
  readonly filtering: Filtering;
  readonly hairpinning: Hairpinning;
  readonly ports: "preserving" | "random" | number;
  /** Seconds. */
  readonly lifetime: number;
  readonly refreshedBy: readonly ("outbound" | "inbound")[];
  /** Public addresses: mappings take them in turn. */
  readonly addresses: readonly string[];
}

export const HOME: NatBehavior = {
  mapping: "endpoint-independent",
  filtering: "address-and-port-dependent",
  hairpinning: "none",
  ports: "preserving",
  lifetime: 120,
  refreshedBy: ["outbound"],
  addresses: ["203.0.113.10"],
};

interface Mapping {
  readonly inside: Readonly<Address>;
  readonly outside: Readonly<Address>;
  readonly contacted: Set<string>;
  until: number;
}

function scope(to: Readonly<Address>, dependence: Filtering): string {
  if (dependence === "endpoint-independent") return "";
  return dependence === "address-dependent" ? formatIp(to) : formatAddress(to);
}

export class SmallNat {
  readonly #behavior: NatBehavior;
  readonly #random: SeededRandom;
  /** Else it is a firewall. */
  readonly #translates: boolean;
  readonly #mappings = new Map<string, Mapping>();
  #last = 40_000;
  #addresses = 0;

  constructor(behavior: Partial<NatBehavior> = {}, { translates = true, seed = 3 } = {}) {
    this.#behavior = { ...HOME, ...behavior };
    this.#random = new SeededRandom(seed);
    this.#translates = translates;
  }

  isOwn(address: Readonly<Address>): boolean {
    return this.#behavior.addresses.includes(formatIp(address));
  }

  #port({ port }: Readonly<Address>): number {
    const { ports } = this.#behavior;
    if (ports === "preserving") return port;
    this.#last = ports === "random" ? 1024 + this.#random.below(60_000) : this.#last + ports;
    return this.#last;
  }

  #outside(inside: Readonly<Address>): Readonly<Address> {
    const { addresses } = this.#behavior;
    return at(addresses[this.#addresses++ % addresses.length]!, this.#port(inside));
  }

  #live(mapping: Mapping | undefined, now: number): Mapping | undefined {
    return mapping !== undefined && mapping.until > now ? mapping : undefined;
  }

  outward(transport: string, inside: Readonly<Address>, to: Readonly<Address>, now: number): Readonly<Address> {
    const { mapping: dependence, lifetime, refreshedBy } = this.#behavior;
    const key = `${transport} ${formatAddress(inside)} ${scope(to, dependence)}`;
    let mapping = this.#live(this.#mappings.get(key), now);
    if (mapping === undefined) {
      const outside = this.#translates ? this.#outside(inside) : inside;
      mapping = { inside, outside, contacted: new Set(), until: now + lifetime * 1000 };
      this.#mappings.set(key, mapping);
    } else if (refreshedBy.includes("outbound")) mapping.until = now + lifetime * 1000;
    mapping.contacted.add(scope(to, this.#behavior.filtering));
    return mapping.outside;
  }

  /** The inside address that a packet reaches, or undefined. */
  inward(from: Readonly<Address>, to: Readonly<Address>, now: number): Readonly<Address> | undefined {
    for (const mapping of this.#mappings.values()) {
      if (this.#live(mapping, now) === undefined || formatAddress(mapping.outside) !== formatAddress(to)) continue;
      if (!mapping.contacted.has(scope(from, this.#behavior.filtering))) continue;
      if (this.#behavior.refreshedBy.includes("inbound")) mapping.until = now + this.#behavior.lifetime * 1000;
      return mapping.inside;
    }
    return undefined;
  }

  /** The source that a packet to a public address of the NAT itself comes back with; undefined: it does not. */
  hairpin(inside: Readonly<Address>, outside: Readonly<Address>): Readonly<Address> | undefined {
    const { hairpinning } = this.#behavior;
    return { none: undefined, "internal-source": inside, "external-source": outside }[hairpinning];
  }
}
