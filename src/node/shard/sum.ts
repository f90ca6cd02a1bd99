/** What several workers count, together. */
import { createStats } from "../../core/turn/server/stats.ts";
import { createDatapathStats } from "../datapath/datapath.ts";
import { createStreamStats } from "../net/stream-stats.ts";
import type { HostStats } from "../turn-service.ts";

/** Where nothing has been counted yet. */
export function noStats(): HostStats {
  const [offloaded, handedOver] = [undefined, undefined];
  return {
    server: createStats(),
    datapath: createDatapathStats(),
    offloaded,
    streams: createStreamStats(),
    handedOver,
  };
}

export function sumStats(all: readonly HostStats[]): HostStats {
  return all.reduce((sum, one) => added(sum, one) as HostStats, noStats());
}

/**
 * What is left of a worker that has ended: all that it counted, and nothing that was open or alive. What the kernel did not
 * let into the listeners it goes on counting itself, for the next worker too.
 */
export function remains({ server, datapath, offloaded, streams, handedOver }: HostStats): HostStats {
  const { unreceived } = datapath;
  return {
    server: { ...server, allocations: 0, permissions: 0, channels: 0 },
    datapath: {
      ...datapath,
      sockets: 0,
      ...(unreceived && { unreceived: { ...unreceived, listener: 0, requests: 0 } }),
    },
    offloaded: offloaded && { ...offloaded, flows: 0, missing: 0 },
    streams: { ...streams, open: 0, halfOpen: 0 },
    handedOver,
  };
}

/**
 * What has been counted now, after what was said `before`. Listeners outlive their worker, and the kernel goes on counting what
 * they lost: that is never less than it was, although the next worker has not told of it yet, or has not all of them.
 */
export function continued(now: HostStats, before: HostStats): HostStats {
  const said = before.datapath.unreceived;
  if (said === undefined) return now;
  const { relay = 0, listener = 0, requests = 0 } = now.datapath.unreceived ?? {};
  const unreceived = {
    relay,
    listener: Math.max(listener, said.listener),
    requests: Math.max(requests, said.requests),
  };
  return { ...now, datapath: { ...now.datapath, unreceived } };
}

/** Numbers are added wherever they are; what only one of them has is taken as it is. */
function added(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a === undefined) return b;
  if (b === undefined) return a;
  if (Array.isArray(a) && Array.isArray(b)) {
    return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => added(a[i], b[i]));
  }
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, added(one[name], other[name])]));
}
