/** What happened on TCP and TLS. Plain numbers that only grow, but for `open` and `halfOpen`; read at a scrape. */
export interface ConnectionStats<End extends string> {
  /** Connections now, half-open ones, which have never been settled, included. */
  open: number;
  halfOpen: number;
  accepted: number;
  /** Connections refused at once, by the limit they met. */
  refused: Record<Refusal, number>;
  /** Connections ended, by who or what ended them. */
  closed: Record<CommonEnd | End, number>;
}

/** The same of TURN. What is settled has had an allocation. */
export interface StreamStats extends ConnectionStats<StreamEnd> {
  framesIn: number;
  bytesIn: number;
  framesOut: number;
  bytesOut: number;
  /** Media for a client that does not read. */
  mediaDropped: number;
}

const REFUSALS = ["connections", "connections-per-source", "half-open", "half-open-per-source"] as const;
export type Refusal = (typeof REFUSALS)[number];

/**
 * `client`: it closed; `error`: the connection broke; `tls`: the handshake failed; `no-frame`, `slow-frame`, `stalled`: a
 * time limit; `backlog`: it does not read its responses; `shutdown`: ours.
 */
const COMMON_ENDS = ["client", "error", "tls", "no-frame", "slow-frame", "stalled", "backlog", "shutdown"] as const;
export type CommonEnd = (typeof COMMON_ENDS)[number];

/** `not-a-frame`, `frame-too-long`: bytes that are no frame; `no-allocation`: a time limit. */
const TURN_ENDS = ["not-a-frame", "frame-too-long", "no-allocation"] as const;
export type StreamEnd = CommonEnd | (typeof TURN_ENDS)[number];

function zeros<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}

/** `ends`: those that only one protocol has. */
export function createConnectionStats<End extends string>(ends: readonly End[]): ConnectionStats<End> {
  return {
    open: 0,
    halfOpen: 0,
    accepted: 0,
    refused: zeros(REFUSALS),
    closed: zeros([...COMMON_ENDS, ...ends]),
  };
}

export function createStreamStats(): StreamStats {
  return {
    ...createConnectionStats(TURN_ENDS),
    framesIn: 0,
    bytesIn: 0,
    framesOut: 0,
    bytesOut: 0,
    mediaDropped: 0,
  };
}
