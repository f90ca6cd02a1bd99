/**
 * A firewall that passes what leaves, and lets in only answers: what a NAT filters, without the translation. IPv6
 * routers do this by default (RFC 6092 §3). Of TCP it passes only connections that it has seen begin.
 */
import type { Instant } from "../../core/base/machine.ts";
import { type NatBehavior, natBehavior } from "../behavior.ts";
import { Mapping } from "../nat/mapping.ts";
import { MappingTable } from "../nat/mapping-table.ts";
import { TcpMapping } from "../nat/tcp-mapping.ts";
import type { Packet, TcpPacket, UdpPacket } from "../packet.ts";
import { isOpening } from "../tcp/segment.ts";
import type { Direction, Firewall, Verdict } from "./firewall.ts";

export type FirewallBehavior = Pick<
  NatBehavior,
  "filtering" | "lifetime" | "refreshedBy" | "refreshScope" | "tcpLifetime" | "tcpTransitoryLifetime"
>;

/** Keeps one entry for each inside endpoint of UDP, and one of TCP, whatever it sends to. */
export class InsideToOutside implements Firewall {
  readonly #behavior: NatBehavior;
  readonly #endpoints: MappingTable<Mapping> = new MappingTable();
  readonly #tcp: MappingTable<TcpMapping> = new MappingTable();
  #order = 0;

  /** Address-and-port-dependent, and refreshed both ways, but for what is named. */
  constructor(departures: Partial<FirewallBehavior> = {}) {
    this.#behavior = natBehavior({ filtering: "address-and-port-dependent", refreshedBy: "both", ...departures });
  }

  judge(packet: Packet, direction: Direction, now: Instant): Verdict {
    this.#endpoints.expire(now);
    this.#tcp.expire(now);
    return this.#passes(packet, direction, now) ? "pass" : "drop";
  }

  reset(): void {
    this.#endpoints.clear();
    this.#tcp.clear();
  }

  #passes(packet: Packet, direction: Direction, now: Instant): boolean {
    if (packet.protocol === "tcp") {
      return direction === "outbound" ? this.#tcpLeaves(packet, now) : this.#tcpEnters(packet, now);
    }
    return direction === "outbound" ? this.#leaves(packet, now) : this.#enters(packet, now);
  }

  #leaves({ source, destination }: UdpPacket, now: Instant): true {
    let endpoint = this.#endpoints.at(source)[0];
    if (endpoint === undefined) {
      endpoint = new Mapping(this.#behavior, source, source, source, now);
      this.#endpoints.add(endpoint);
    }
    endpoint.sendTo(destination, now, ++this.#order);
    return true;
  }

  #enters({ source, destination }: UdpPacket, now: Instant): boolean {
    const endpoint = this.#endpoints.at(destination)[0];
    if (endpoint === undefined || !endpoint.admits(source, now)) return false;
    endpoint.receiveFrom(source, now);
    return true;
  }

  #tcpLeaves({ source, destination, segment }: TcpPacket, now: Instant): boolean {
    const known = this.#tcp.at(source)[0];
    if (known?.hasSession(destination, now) !== true && !isOpening(segment)) return false;
    const endpoint = known ?? new TcpMapping(this.#behavior, source, source, source);
    endpoint.pass(destination, segment, "outbound", now);
    if (known === undefined) this.#tcp.add(endpoint);
    else this.#tcp.reschedule(endpoint);
    return true;
  }

  #tcpEnters({ source, destination, segment }: TcpPacket, now: Instant): boolean {
    const endpoint = this.#tcp.at(destination)[0];
    if (endpoint === undefined || !endpoint.admits(source, segment, now)) return false;
    endpoint.pass(source, segment, "inbound", now);
    this.#tcp.reschedule(endpoint);
    return true;
  }
}
