/** The host's clocks, in the core's units. */
import type { Instant, UnixSeconds } from "../core/base/machine.ts";
import type { WallClock } from "../core/base/ports.ts";

/** Milliseconds since this process started, never backwards. */
export function monotonicNow(): Instant {
  return performance.now() as Instant;
}

export const wallClock: WallClock = { now: () => Math.floor(Date.now() / 1000) as UnixSeconds };
