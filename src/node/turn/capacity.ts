/** How many allocations this process has room for: descriptors, relay ports, or the quota, whichever ends first. */
import type { TurnServerConfig } from "../../core/turn/server/config.ts";
import { openDescriptorLimit } from "../descriptors.ts";

export interface Capacity {
  readonly allocations: number;
  readonly limitedBy: "descriptors" | "ports" | "quota";
  /** The open-descriptor limit; undefined where there is none, or it cannot be told. */
  readonly descriptors: number | undefined;
}

/** What Node and the daemon keep open besides sockets of clients and relays, and what each worker does: generous guesses. */
const ownDescriptors = 64;
const descriptorsOfWorker = 32;

/** Ports of the family that has fewest: an allocation takes one of each relay family at most. */
function portRoom({ relays, relayPorts }: TurnServerConfig): number {
  const ports = relayPorts.max - relayPorts.min + 1;
  const perFamily = [4, 6].map((family) => relays.filter(({ bound }) => bound.family === family).length);
  return ports * Math.min(...perFamily.filter((addresses) => addresses > 0));
}

/**
 * Every allocation is counted with one relay of each family that is served, and all stream connections as taken, so
 * that the number holds but for ports reserved by EVEN-PORT, which come on top for 30 s. `workers`: how many there are besides
 * this thread.
 */
export function capacityOf(
  config: TurnServerConfig,
  streamConnections: number,
  descriptors: number | undefined = openDescriptorLimit(),
  workers: number = 0,
): Capacity {
  const families = new Set(config.relays.map(({ bound }) => bound.family)).size;
  const own = ownDescriptors + workers * descriptorsOfWorker;
  const free = descriptors === undefined ? Number.POSITIVE_INFINITY : descriptors - own - streamConnections;
  const rooms = [
    { limitedBy: "quota", allocations: config.quotas.allocations },
    { limitedBy: "ports", allocations: families === 0 ? 0 : portRoom(config) },
    { limitedBy: "descriptors", allocations: families === 0 ? 0 : Math.max(0, Math.floor(free / families)) },
  ] as const;
  const tightest = rooms.reduce((least, room) => (room.allocations < least.allocations ? room : least));
  return { ...tightest, descriptors };
}
