/**
 * One mapping of an inside endpoint to an outside one for TCP: it lives as long as any connection through it, and knows
 * each of them by its remote endpoint.
 */
import { type Address, blankAddress, sameAddress } from "../../core/base/address.ts";
import type { Timed } from "../../core/base/deadlines.ts";
import type { Instant } from "../../core/base/machine.ts";
import { AddressMap } from "../address-map.ts";
import type { NatBehavior } from "../behavior.ts";
import { isOpening, type Segment } from "../tcp/segment.ts";
import { seenOf } from "./dependence.ts";
import { TcpSession } from "./tcp-session.ts";

const [scratch, other] = [blankAddress(), blankAddress()];

interface Peer {
  readonly remote: Readonly<Address>;
  readonly session: TcpSession;
}

export type TcpFiltering = Pick<NatBehavior, "filtering" | "tcpLifetime" | "tcpTransitoryLifetime">;

export class TcpMapping implements Timed {
  readonly inside: Readonly<Address>;
  readonly outside: Readonly<Address>;
  /** The remote endpoint, as far as mapping looks at it. */
  readonly toward: Readonly<Address>;
  readonly #behavior: TcpFiltering;
  readonly #peers: AddressMap<Peer> = new AddressMap();
  /** The most recent of several mappings that share a port has the greatest. */
  lastSent = 0;
  deadline = 0 as Instant;
  heapIndex = -1;

  constructor(
    behavior: TcpFiltering,
    inside: Readonly<Address>,
    outside: Readonly<Address>,
    toward: Readonly<Address>,
  ) {
    this.#behavior = behavior;
    this.inside = inside;
    this.outside = outside;
    this.toward = toward;
  }

  get expires(): Instant {
    let latest = 0 as Instant;
    for (const { session } of this.#peers.values()) if (session.expires > latest) latest = session.expires;
    return latest;
  }

  hasSession(remote: Readonly<Address>, now: Instant): boolean {
    const peer = this.#peers.find(remote);
    return peer !== undefined && peer.session.expires > now;
  }

  /** Whether a segment from `remote` may come in: one of a connection that is known, or the first of a new one. */
  admits(remote: Readonly<Address>, segment: Segment, now: Instant): boolean {
    return this.hasSession(remote, now) || (isOpening(segment) && this.#isOpen(remote, now));
  }

  /** A segment passes, from or to `remote`. */
  pass(remote: Readonly<Address>, segment: Segment, direction: "outbound" | "inbound", now: Instant): void {
    let peer = this.#peers.find(remote);
    if (peer === undefined || peer.session.expires <= now) {
      this.#forgetExpired(now);
      peer = { remote: { ...remote }, session: new TcpSession(this.#behavior) };
      this.#peers.set(remote, peer);
    }
    peer.session.see(segment, direction, now);
  }

  /** RFC 5382 REQ-3: filtering decides who may open a connection, by whom there are connections with. */
  #isOpen(remote: Readonly<Address>, now: Instant): boolean {
    const { filtering } = this.#behavior;
    const seen = seenOf(remote, filtering, scratch);
    for (const peer of this.#peers.values()) {
      if (peer.session.expires > now && sameAddress(seenOf(peer.remote, filtering, other), seen)) return true;
    }
    return false;
  }

  #forgetExpired(now: Instant): void {
    for (const { remote, session } of [...this.#peers.values()]) if (session.expires <= now) this.#peers.delete(remote);
  }
}
