/** What a firewall is to the box around it: what becomes of a packet, seen with its inside address. */
import type { Instant } from "../../core/base/machine.ts";
import type { Packet } from "../packet.ts";

export type Direction = "outbound" | "inbound";

/** `reset`: dropped, and if it is TCP both sides get a RST as if from each other. */
export type Verdict = "pass" | "drop" | "reset";

export interface Firewall {
  judge(packet: Packet, direction: Direction, now: Instant): Verdict;
  /** Forgets what it has seen. */
  reset?(): void;
}

/** The endpoint on the far side. */
export function remoteOf(packet: Packet, direction: Direction): Packet["source"] {
  return direction === "outbound" ? packet.destination : packet.source;
}

/** A firewall without memory, that drops what does not pass. */
export function passing(passes: (packet: Packet, direction: Direction) => boolean): Firewall {
  return { judge: (packet, direction) => (passes(packet, direction) ? "pass" : "drop") };
}

/** Passes what each of them passes; a later one does not see what an earlier one stops. */
export function allOf(...firewalls: readonly Firewall[]): Firewall {
  return {
    judge: (packet, direction, now) => {
      for (const one of firewalls) {
        const verdict = one.judge(packet, direction, now);
        if (verdict !== "pass") return verdict;
      }
      return "pass";
    },
    reset: () => {
      for (const one of firewalls) one.reset?.();
    },
  };
}

/** As `firewall`, but resets the TCP connections that it would leave in silence. */
export function resetting(firewall: Firewall): Firewall {
  return {
    judge: (packet, direction, now) => (firewall.judge(packet, direction, now) === "pass" ? "pass" : "reset"),
    reset: () => firewall.reset?.(),
  };
}
