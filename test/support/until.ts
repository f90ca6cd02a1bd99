/** Waits for a condition instead of sleeping for luck. */
import { setTimeout as delay } from "node:timers/promises";

const pauseMs = 10;

/**
 * Resolves with the first truthy value of `condition`, which is asked every few milliseconds and may throw meanwhile.
 * Rejects after `within` milliseconds, naming `what` was awaited.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  { within = 20_000 }: { within?: number } = {},
): Promise<Exclude<T, undefined | null | false | 0 | "">> {
  const deadline = performance.now() + within;
  for (;;) {
    let cause: unknown;
    try {
      const value = await condition();
      if (value) return value as Exclude<T, undefined | null | false | 0 | "">;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`waited ${within} ms in vain for ${what}`, { cause });
    await delay(pauseMs);
  }
}

/** What `promise` comes to. Rejects after `within` milliseconds, naming `what` was awaited. */
export async function soon<T>(
  what: string,
  promise: Promise<T>,
  { within = 15_000, otherwise = () => "" }: { within?: number; otherwise?: () => string } = {},
): Promise<T> {
  const { promise: end, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`waited ${within} ms in vain for ${what}${otherwise()}`)), within);
  try {
    return await Promise.race([promise, end]);
  } finally {
    clearTimeout(timer);
  }
}
