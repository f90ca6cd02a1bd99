/**
 * One mapping of an inside endpoint to an outside one, with the filter that it holds: to which remote endpoints, as far
 * as filtering looks at them, it was used.
 */
import { type Address, blankAddress } from "../../core/base/address.ts";
import type { Timed } from "../../core/base/deadlines.ts";
import { after, type Instant } from "../../core/base/machine.ts";
import { AddressMap } from "../address-map.ts";
import type { NatBehavior } from "../behavior.ts";
import { seenOf } from "./dependence.ts";

const scratch = blankAddress();

export class Mapping implements Timed {
  readonly inside: Readonly<Address>;
  readonly outside: Readonly<Address>;
  /** The remote endpoint, as far as mapping looks at it. */
  readonly toward: Readonly<Address>;
  readonly #behavior: NatBehavior;
  /** When each remote endpoint's session was last refreshed. */
  readonly #sessions: AddressMap<Instant> = new AddressMap();
  expires: Instant;
  /** The most recent of several mappings that share a port has the greatest. */
  lastSent = 0;
  deadline: Instant;
  heapIndex = -1;

  constructor(
    behavior: NatBehavior,
    inside: Readonly<Address>,
    outside: Readonly<Address>,
    toward: Readonly<Address>,
    now: Instant,
  ) {
    this.#behavior = behavior;
    this.inside = inside;
    this.outside = outside;
    this.toward = toward;
    this.expires = after(now, behavior.lifetime);
    this.deadline = this.expires;
  }

  /** A packet leaves for `remote`: whoever answers it may come in. */
  sendTo(remote: Readonly<Address>, now: Instant, order: number): void {
    this.lastSent = order;
    const seen = seenOf(remote, this.#behavior.filtering, scratch);
    const refreshes = this.#behavior.refreshedBy !== "inbound";
    if (refreshes || !this.#isOpen(seen, now)) this.#sessions.set(seen, now);
    if (refreshes) this.expires = after(now, this.#behavior.lifetime);
  }

  admits(remote: Readonly<Address>, now: Instant): boolean {
    return this.#isOpen(seenOf(remote, this.#behavior.filtering, scratch), now);
  }

  /** A packet that was admitted has come in from `remote`. */
  receiveFrom(remote: Readonly<Address>, now: Instant): void {
    // RFC 4787 REQ-6: inbound refresh is allowed, not required.
    if (this.#behavior.refreshedBy === "outbound") return;
    this.#sessions.set(seenOf(remote, this.#behavior.filtering, scratch), now);
    this.expires = after(now, this.#behavior.lifetime);
  }

  #isOpen(seen: Readonly<Address>, now: Instant): boolean {
    const refreshed = this.#sessions.find(seen);
    if (refreshed === undefined) return false;
    return this.#behavior.refreshScope === "mapping" || now < refreshed + this.#behavior.lifetime;
  }
}
