/** The host's clocks, in the core's units. */
import type { Instant, UnixSeconds } from "../core/base/machine.ts";
import type { WallClock } from "../core/base/ports.ts";

/** Milliseconds since this process started, never backwards. */
export function monotonicNow(): Instant {
  return performance.now() as Instant;
}

/** The same in whole milliseconds, for who keeps many instants: they take no room beside the object that has them. */
export function wholeMilliseconds(): Instant {
  return Math.floor(performance.now()) as Instant;
}

const never = (1n << 63n) - 1n;

/** The same instant on the kernel's CLOCK_MONOTONIC, in nanoseconds. */
export function kernelTime(instant: Instant): bigint {
  const left = instant - monotonicNow();
  return Number.isFinite(left) ? process.hrtime.bigint() + BigInt(Math.round(left * 1e6)) : never;
}

/** The instant of this time on it, which is past. */
export function instantOf(nanoseconds: number): Instant {
  return (monotonicNow() - (Number(process.hrtime.bigint()) - nanoseconds) / 1e6) as Instant;
}

export const wallClock: WallClock = { now: () => Math.floor(Date.now() / 1000) as UnixSeconds };
