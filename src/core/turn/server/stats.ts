/** Plain numbers, read when somebody scrapes. */
export interface TurnServerStats {
  allocations: number;
  allocationsTotal: number;
  permissions: number;
  channels: number;
  bindings: number;
  /** Requests answered with success, by method: indexed by the 12-bit method. */
  successes: number[];
  /** Error responses by code. */
  errors: number[];
  /** Datagrams dropped, by reason. */
  drops: Record<DropReason, number>;
  packetsToPeers: number;
  bytesToPeers: number;
  packetsToClients: number;
  bytesToClients: number;
}

export const DROP_REASONS = [
  "malformed",
  "over-budget",
  "would-amplify",
  "no-allocation",
  "no-permission",
  "no-channel",
  "forbidden-peer",
  "own-address",
  "bandwidth",
  "hop-limit",
  "too-many-new-peers",
  "unexpected",
  "lookup-overload",
  "overload",
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export function createStats(): TurnServerStats {
  return {
    allocations: 0,
    allocationsTotal: 0,
    permissions: 0,
    channels: 0,
    bindings: 0,
    successes: new Array<number>(16).fill(0),
    errors: new Array<number>(700).fill(0),
    drops: Object.fromEntries(DROP_REASONS.map((r) => [r, 0])) as Record<DropReason, number>,
    packetsToPeers: 0,
    bytesToPeers: 0,
    packetsToClients: 0,
    bytesToClients: 0,
  };
}
