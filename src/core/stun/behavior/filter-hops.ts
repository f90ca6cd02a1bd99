/**
 * How far away the outermost filter is. Each trial, from a socket of its own, sends a datagram toward the server's other
 * address that goes k hops and dies, and then has the server answer from there. The answer arrives when every filter
 * has seen the datagram leave: when all of them are nearer than k hops.
 *
 * A router drops what has no hops left before it forwards it, and its NAT or filter never sees it leave: the filter at
 * hop n opens for k = n + 1. One that is open for k = 1 already cannot be placed so.
 *
 * This works where one mapping serves all destinations. Else the server answers to a mapping that has never sent to its
 * other address, and no datagram opens the filter for it.
 */
import { ChangeFlag } from "../registry.ts";
import { arrived } from "./filtering.ts";
import type { Probes, Server } from "./probes.ts";
import { open, type Procedure, together } from "./procedure.ts";
import { type Filtering, type Finding, known, type Mapping, type UnknownReason, unknown } from "./report.ts";

/** Providers' NATs are nearer. */
const MOST_HOPS = 8;

function* passes(probes: Probes, { address, other }: Server, hopLimit: number): Procedure<boolean | UnknownReason> {
  const socket = yield* open({ kind: "open", transport: "udp" });
  if (socket === undefined) return "no-socket";
  if (other === undefined) return "one-address";
  const flags = ChangeFlag.Ip | ChangeFlag.Port;
  return arrived(yield* probes.changeBehind(hopLimit, socket, address, flags, other), other);
}

/** Whether the answer arrived, or why that is not known, for one hop and more. All trials at once: it takes no longer than one silence. */
export function* tryHops(probes: Probes, server: Server): Procedure<readonly (boolean | UnknownReason)[] | undefined> {
  if (server.other === undefined) return undefined;
  const limits = Array.from({ length: MOST_HOPS }, (_, i) => i + 1);
  return yield* together(...limits.map((hops) => passes(probes, server, hops)));
}

/** That the answer arrives where hops are not limited is known with the filter (`judgeFiltering`). */
export function judgeHops(
  trials: readonly (boolean | UnknownReason)[] | undefined,
  mapping: Finding<Mapping>,
  filtering: Finding<Filtering>,
): Finding<number> {
  if (trials === undefined) return unknown("one-address");
  if (!mapping.known) return mapping;
  if (mapping.value !== "endpoint-independent") return unknown("hidden-by-filter");
  if (!filtering.known) return filtering;
  if (filtering.value === "endpoint-independent") return unknown("no-filter");
  const hops = trials.indexOf(true);
  // That the filter is no nearer is known only from the trials that failed before.
  const why = trials.slice(0, hops < 0 ? trials.length : hops).find((trial) => typeof trial === "string");
  if (typeof why === "string") return unknown(why);
  if (hops === 0) return unknown("opened-by-first-hop");
  return hops < 0 ? unknown("too-far") : known(hops);
}

/** A trial that fails by chance puts the filter too far away: the last one that failed has two more, as long as one passes. */
export function* confirmHops(probes: Probes, server: Server, hops: Finding<number>): Procedure<Finding<number>> {
  let nearest = hops;
  while (nearest.known && nearest.value > 1) {
    const limit = nearest.value;
    const again = yield* together(passes(probes, server, limit), passes(probes, server, limit));
    if (again.includes(true)) nearest = known(limit - 1);
    else {
      const why = again.every((one) => one !== false) ? again[0] : undefined;
      return typeof why === "string" ? unknown(why) : nearest;
    }
  }
  return nearest;
}
