/** What happened on TCP and TLS. Plain numbers that only grow, but for `open` and `halfOpen`; read at a scrape. */
export interface StreamStats {
  /** Connections now, half-open ones, which never had an allocation, included. */
  open: number;
  halfOpen: number;
  accepted: number;
  /** Connections refused at once, by the limit they met. */
  refused: Record<Refusal, number>;
  /** Connections ended, by who or what ended them. */
  closed: Record<StreamEnd, number>;
  framesIn: number;
  bytesIn: number;
  framesOut: number;
  bytesOut: number;
  /** Media for a client that does not read. */
  mediaDropped: number;
}

export const REFUSALS = ["connections", "connections-per-source", "half-open", "half-open-per-source"] as const;
export type Refusal = (typeof REFUSALS)[number];

/**
 * `client`: it closed; `error`: the connection broke; `tls`: the handshake failed; `not-a-frame`, `frame-too-long`:
 * bytes that are no frame; `no-frame`, `slow-frame`, `no-allocation`, `stalled`: a time limit; `backlog`: it does not read its
 * responses; `shutdown`: ours.
 */
export const STREAM_ENDS = [
  "client",
  "error",
  "tls",
  "not-a-frame",
  "frame-too-long",
  "no-frame",
  "slow-frame",
  "no-allocation",
  "stalled",
  "backlog",
  "shutdown",
] as const;
export type StreamEnd = (typeof STREAM_ENDS)[number];

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}

export function createStreamStats(): StreamStats {
  return {
    open: 0,
    halfOpen: 0,
    accepted: 0,
    refused: zeros(REFUSALS),
    closed: zeros(STREAM_ENDS),
    framesIn: 0,
    bytesIn: 0,
    framesOut: 0,
    bytesOut: 0,
    mediaDropped: 0,
  };
}
