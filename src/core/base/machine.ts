/**
 * The contract of every protocol machine. A machine is synchronous and knows no I/O: it is mutated by its `handle*`
 * inputs, then its driver drains `pollOutput` and re-arms one timer for `pollTimeout`.
 */

declare const instant: unique symbol;
declare const unixSeconds: unique symbol;

/** Milliseconds on a monotonic clock with an arbitrary origin. */
export type Instant = number & { readonly [instant]: true };

/** Whole seconds since 1970-01-01T00:00:00Z. */
export type UnixSeconds = number & { readonly [unixSeconds]: true };

export interface Machine<Output> {
  /** Next effect, oldest first; undefined when drained. */
  pollOutput(): Output | undefined;
  /** When `handleTimeout` must next be called; undefined when there is nothing to wait for. */
  pollTimeout(): Instant | undefined;
  /** Early or spurious calls do nothing. */
  handleTimeout(now: Instant): void;
}

/** The instant `ms` milliseconds after `now`. */
export function after(now: Instant, ms: number): Instant {
  return (now + ms) as Instant;
}
