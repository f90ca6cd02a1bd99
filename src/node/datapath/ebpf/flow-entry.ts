/** A flow that the kernel has room for, and what is known of it there. */
import { after, type Instant } from "../../../core/base/machine.ts";
import { MediaFlow } from "../../../core/relay/media-flow.ts";
import type { Account } from "../../../core/turn/server/account.ts";
import type { Flow } from "../../../core/turn/server/flow.ts";
import { newStanding, type Standing } from "./host-rules.ts";
import type { Limit, Place } from "./policing.ts";
import { type Arrival, encodeArrival } from "./records.ts";

/** A flow's two ends, as this host sees them. */
export interface FlowEnds {
  readonly arrival: Arrival;
  readonly departure: Arrival;
}

export type KernelFlow = Flow | MediaFlow;

export interface FlowEntry extends FlowEnds {
  readonly flow: KernelFlow;
  /** Computed once, for putting in and for taking out. */
  readonly key: Uint8Array;
  readonly index: number;
  /** In the buckets. */
  places: readonly Place<FlowEntry>[];
  /** Until when the kernel has it. */
  until: Instant;
  /** Where its packets come in, while it is in the kernel. */
  arrivesBy: number | undefined;
  placedAt: Instant;
  /** It may not be, by the host's rules. */
  isHeldBack: boolean;
  /** With the host's own rules. */
  readonly standing: Standing;
  /** There was no way, or the kernel refused it: when it is tried again, and for how long it waits after that. */
  triesAt: Instant;
  pauseMs: number;
  /** Packets that the program saw, and user space carried, when one of its own was last seen; undefined: not yet. */
  seen: { readonly here: number; readonly carried: number } | undefined;
  /** Already added to the flow. */
  packets: number;
  bytes: number;
}

/** Without a change of routes: not every one is told of, and what is full or forbidden may not be later. */
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

export function newEntry(flow: KernelFlow, ends: FlowEnds, index: number): FlowEntry {
  return {
    ...ends,
    flow,
    key: encodeArrival(ends.arrival),
    index,
    places: [],
    until: flow.until,
    arrivesBy: undefined,
    placedAt: 0 as Instant,
    isHeldBack: false,
    standing: newStanding(carriedOf({ flow, packets: 0 })),
    triesAt: 0 as Instant,
    pauseMs: firstPauseMs,
    seen: undefined,
    packets: 0,
    bytes: 0,
  };
}

/** After it was tried. */
export function setPause(entry: FlowEntry, now: Instant): void {
  const isRefused = entry.arrivesBy === undefined && !entry.isHeldBack;
  if (isRefused) entry.triesAt = after(now, entry.pauseMs);
  entry.pauseMs = isRefused ? Math.min(2 * entry.pauseMs, longestPauseMs) : firstPauseMs;
}

/** By user space. */
export function carriedOf({ flow, packets }: Pick<FlowEntry, "flow" | "packets">): number {
  return (flow instanceof MediaFlow ? flow.departure.packets : flow.packets) - packets;
}

/** Toward the peer the sender's, toward the client the receiver's, and from client to client both. */
export function limitsOf(flow: KernelFlow): Limit[] {
  if (flow instanceof MediaFlow) return [];
  const { toward, account, sender } = flow;
  const own = toward === "peer" ? uplinkOf(account) : downlinkOf(account);
  return [...own, ...(sender === undefined ? [] : uplinkOf(sender.account))];
}

function uplinkOf(account: Account): Limit[] {
  return account.uplink === undefined ? [] : [{ bucket: account.uplink, account, way: "bytesToPeers" }];
}

function downlinkOf(account: Account): Limit[] {
  return account.downlink === undefined ? [] : [{ bucket: account.downlink, account, way: "bytesToClient" }];
}
