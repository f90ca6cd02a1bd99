/** What a base of the agent is here: a way for datagrams. */
import type { Address } from "../../core/base/address.ts";
import type { BaseId } from "../../core/ice/base.ts";

export interface Lane {
  /** False when the datagram was dropped. */
  send(to: Readonly<Address>, data: Uint8Array): boolean;
  /** Lets the peer's IP address in; rejects when that is refused. */
  permit(peer: Readonly<Address>): Promise<void>;
  /** This peer is the one that will be sent to. */
  prefer(peer: Readonly<Address>): void;
}

/** Where lanes come from, and what comes on them goes. */
export interface LaneHost {
  /** A number that no other base has. */
  nextBase(): BaseId;
  handleDatagram(base: BaseId, component: number, from: Readonly<Address>, data: Uint8Array): void;
}
