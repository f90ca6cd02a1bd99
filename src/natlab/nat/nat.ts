/**
 * What a NAT is to the box around it: which source goes out, which destination comes in, at a given time. It holds
 * state and no clock, and never sees a payload.
 */
import type { Address } from "../../core/base/address.ts";
import type { Instant } from "../../core/base/machine.ts";

/** Why a packet does not pass. `no-session`: a segment from inside of a connection that the NAT has not seen begin. */
export type Refusal = "no-mapping" | "no-session" | "filtered" | "ports-exhausted" | "mapping-limit";

export interface Nat {
  /** The source with which a packet from the inside `source` to `destination` leaves. */
  outgoingSource(source: Readonly<Address>, destination: Readonly<Address>, now: Instant): Readonly<Address> | Refusal;
  /** The inside address to which a packet from `source` to the outside `destination` goes. */
  incomingDestination(
    source: Readonly<Address>,
    destination: Readonly<Address>,
    now: Instant,
  ): Readonly<Address> | Refusal;
}
