/** How long phones are believed, and how they are kept reachable. */
export interface RegistrarConfig {
  /** The domain that is served, in lower case; users of others are not registered here. */
  readonly domain: string;
  /** Seconds that are granted where none are asked for. */
  readonly usual: number;
  /** Seconds below which a phone is told to ask for more. */
  readonly shortest: number;
  readonly longest: number;
  /** Phones of one user at once, and contacts of one request. */
  readonly bindingsPerUser: number;
  /** Of all users together. */
  readonly bindings: number;
}

export const defaultRegistrarConfig: Omit<RegistrarConfig, "domain"> = {
  usual: 300,
  shortest: 20,
  // A phone whose address has changed without its noticing is found again within this time.
  longest: 600,
  bindingsPerUser: 10,
  bindings: 100_000,
};

/**
 * Milliseconds between two probes of a phone on UDP: shorter than the 30 s after which many NATs forget a mapping, and
 * drawn anew each time, so that phones that registered together are not probed together for ever.
 */
export const PROBE_INTERVAL = { least: 20_000, most: 25_000 } as const;

/** Probes in a row without an answer, after which a phone is said to be unreachable. One may be lost. */
export const UNANSWERED_PROBES = 2;
