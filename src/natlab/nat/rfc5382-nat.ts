/**
 * A NAT for TCP that behaves as it is declared. Connections are seen to open and close: only a SYN begins one, and each
 * is forgotten by itself when it has been silent for too long.
 */
import type { Address } from "../../core/base/address.ts";
import { blankAddress, copyAddress } from "../../core/base/address.ts";
import type { Instant } from "../../core/base/machine.ts";
import type { NatBehavior } from "../behavior.ts";
import { isOpening, type Segment } from "../tcp/segment.ts";
import { seenOf } from "./dependence.ts";
import { MappingTable } from "./mapping-table.ts";
import type { Refusal } from "./nat.ts";
import { TcpMapping } from "./tcp-mapping.ts";

const scratch = blankAddress();

/** An outside endpoint for a new mapping of `inside`. */
export type Assign = (inside: Readonly<Address>) => Readonly<Address> | Refusal;

export class Rfc5382Nat {
  readonly mappings: MappingTable<TcpMapping> = new MappingTable();
  readonly #behavior: NatBehavior;
  readonly #assign: Assign;
  #order = 0;

  constructor(behavior: NatBehavior, assign: Assign) {
    this.#behavior = behavior;
    this.#assign = assign;
  }

  outgoingSource(
    source: Readonly<Address>,
    destination: Readonly<Address>,
    segment: Segment,
    now: Instant,
  ): Readonly<Address> | Refusal {
    this.mappings.expire(now);
    const toward = seenOf(destination, this.#behavior.mapping, scratch);
    const known = this.mappings.find(source, toward);
    if (known?.hasSession(destination, now) !== true && !isOpening(segment)) return "no-session";
    const mapping = known ?? this.#create(source, toward);
    if (typeof mapping === "string") return mapping;
    mapping.lastSent = ++this.#order;
    this.#pass(mapping, destination, segment, "outbound", now);
    return mapping.outside;
  }

  incomingDestination(
    source: Readonly<Address>,
    destination: Readonly<Address>,
    segment: Segment,
    now: Instant,
  ): Readonly<Address> | Refusal {
    this.mappings.expire(now);
    const candidates = this.mappings.at(destination);
    if (candidates.length === 0) return "no-mapping";
    let best: TcpMapping | undefined;
    for (const mapping of candidates) {
      const isLater = best === undefined || mapping.lastSent > best.lastSent;
      if (isLater && mapping.admits(source, segment, now)) best = mapping;
    }
    if (best === undefined) return "filtered";
    this.#pass(best, source, segment, "inbound", now);
    return best.inside;
  }

  /** Whether an inside host has meanwhile opened a connection from `destination` to `source`. */
  isExpected(source: Readonly<Address>, destination: Readonly<Address>, now: Instant): boolean {
    return this.mappings.at(destination).some((mapping) => mapping.hasSession(source, now));
  }

  #pass(
    mapping: TcpMapping,
    remote: Readonly<Address>,
    segment: Segment,
    direction: "outbound" | "inbound",
    now: Instant,
  ): void {
    const isNew = mapping.heapIndex < 0;
    mapping.pass(remote, segment, direction, now);
    if (isNew) this.mappings.add(mapping);
    else this.mappings.reschedule(mapping);
  }

  #create(source: Readonly<Address>, toward: Readonly<Address>): TcpMapping | Refusal {
    const outside = this.#assign(source);
    if (typeof outside === "string") return outside;
    return new TcpMapping(this.#behavior, copyAddress(source), outside, copyAddress(toward));
  }
}
