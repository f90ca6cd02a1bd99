/** What a firewall is to the box around it: whether a packet passes, seen with its inside address. */
import type { Instant } from "../../core/base/machine.ts";
import type { Packet } from "../packet.ts";

export type Direction = "outbound" | "inbound";

export interface Firewall {
  passes(packet: Packet, direction: Direction, now: Instant): boolean;
  /** Forgets what it has seen. */
  reset?(): void;
}

/** The endpoint on the far side. */
export function remoteOf(packet: Packet, direction: Direction): Packet["source"] {
  return direction === "outbound" ? packet.destination : packet.source;
}

/** Passes what each of them passes; a later one does not see what an earlier one stops. */
export function allOf(...firewalls: readonly Firewall[]): Firewall {
  return {
    passes: (packet, direction, now) => firewalls.every((one) => one.passes(packet, direction, now)),
    reset: () => {
      for (const one of firewalls) one.reset?.();
    },
  };
}
