/**
 * What happens to packets, told to whoever watches: tests, traces, captures. A dropped packet always has a reason, for
 * a simulation that loses packets silently explains nothing.
 */
import type { Instant } from "../core/base/machine.ts";
import type { Agenda } from "./agenda.ts";
import type { Refusal } from "./nat/nat.ts";
import type { Packet } from "./packet.ts";

export type DropReason =
  | "lost"
  | "queue-full"
  | "too-big"
  | "unreachable"
  | "hop-limit"
  | "no-socket"
  | "backlog"
  | "fragment"
  | "no-hairpin"
  | "firewall"
  | Refusal;

export interface Sighting {
  readonly at: Instant;
  /** `carried`: a link takes it. `delivered`: a socket has it. */
  readonly kind: "carried" | "delivered" | "dropped";
  /** The name of the link or node. */
  readonly place: string;
  readonly packet: Packet;
  /** Why it was dropped. */
  readonly reason: DropReason | undefined;
}

export class Sightings {
  readonly #agenda: Agenda;
  readonly #watchers: Set<(sighting: Sighting) => void> = new Set();
  readonly dropped: Map<DropReason, number> = new Map();
  carriedCount = 0;
  deliveredCount = 0;

  constructor(agenda: Agenda) {
    this.#agenda = agenda;
  }

  /** Calls `watcher` with everything from now on; the function that it returns ends that. */
  watch(watcher: (sighting: Sighting) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  carried(place: string, packet: Packet): void {
    this.carriedCount++;
    this.#tell("carried", place, packet, undefined);
  }

  delivered(place: string, packet: Packet): void {
    this.deliveredCount++;
    this.#tell("delivered", place, packet, undefined);
  }

  drop(place: string, packet: Packet, reason: DropReason): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1);
    this.#tell("dropped", place, packet, reason);
  }

  #tell(kind: Sighting["kind"], place: string, packet: Packet, reason: DropReason | undefined): void {
    if (this.#watchers.size === 0) return;
    const sighting: Sighting = { at: this.#agenda.now, kind, place, packet, reason };
    for (const watcher of this.#watchers) watcher(sighting);
  }
}
