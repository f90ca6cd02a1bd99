/**
 * A firewall that passes what leaves, and lets in only answers: what a NAT filters, without the translation. IPv6
 * routers do this by default (RFC 6092 §3).
 */
import type { Instant } from "../../core/base/machine.ts";
import { type NatBehavior, natBehavior } from "../behavior.ts";
import { Mapping } from "../nat/mapping.ts";
import { MappingTable } from "../nat/mapping-table.ts";
import type { Packet } from "../packet.ts";
import type { Direction, Firewall } from "./firewall.ts";

export type FirewallBehavior = Pick<NatBehavior, "filtering" | "lifetime" | "refreshedBy" | "refreshScope">;

/** Keeps one entry for each inside endpoint, whatever it sends to. */
export class InsideToOutside implements Firewall {
  readonly #behavior: NatBehavior;
  readonly #endpoints: MappingTable = new MappingTable();
  #order = 0;

  /** Address-and-port-dependent, and refreshed both ways, but for what is named. */
  constructor(departures: Partial<FirewallBehavior> = {}) {
    this.#behavior = natBehavior({ filtering: "address-and-port-dependent", refreshedBy: "both", ...departures });
  }

  passes(packet: Packet, direction: Direction, now: Instant): boolean {
    this.#endpoints.expire(now);
    return direction === "outbound" ? this.#leaves(packet, now) : this.#enters(packet, now);
  }

  reset(): void {
    this.#endpoints.clear();
  }

  #leaves({ source, destination }: Packet, now: Instant): true {
    let endpoint = this.#endpoints.at(source)[0];
    if (endpoint === undefined) {
      endpoint = new Mapping(this.#behavior, source, source, source, now);
      this.#endpoints.add(endpoint);
    }
    endpoint.sendTo(destination, now, ++this.#order);
    return true;
  }

  #enters({ source, destination }: Packet, now: Instant): boolean {
    const endpoint = this.#endpoints.at(destination)[0];
    if (endpoint === undefined || !endpoint.admits(source, now)) return false;
    endpoint.receiveFrom(source, now);
    return true;
  }
}
