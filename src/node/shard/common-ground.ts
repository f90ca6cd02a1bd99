/**
 * What all shards of one server share: memory, events and secrets. The main thread makes it, keeps it for as long as it
 * serves, and clears away what a shard leaves that has died.
 */
import { randomBytes, randomInt } from "node:crypto";
import type { RelayAddress } from "../../core/base/relay-places.ts";
import { SOURCE_SLOTS } from "../../core/base/source-budget.ts";
import type { TurnServerConfig } from "../../core/turn/server/config.ts";
import type { SharedBudgets } from "../../core/turn/server/shard.ts";
import { openEvent } from "../sys/event-descriptor.ts";
import { closeDescriptor } from "../sys/udp-socket.ts";
import type { RingMemories } from "./neighbours.ts";
import { createPacketRing } from "./packet-ring.ts";
import { createOwners, OwnersOfAll, type SharedOwners } from "./port-owners.ts";
import { createSketch, emptySketch } from "./shared-counts.ts";

/** Goes to every worker. */
export interface CommonMemory extends RingMemories {
  /** By shard. */
  readonly sketches: readonly SharedArrayBuffer[];
  readonly owners: SharedOwners;
  readonly budgets: SharedBudgets;
  /** Secrets of this process: where counts are kept, and what hides whose a reservation is. */
  readonly countKey: Uint8Array;
  readonly tokenKey: Uint8Array;
}

const keyLength = 16;

/** All threads of a process have one clock, `performance.now`. */
function createBudgets(): SharedBudgets {
  const create = () => new Int32Array(new SharedArrayBuffer(SOURCE_SLOTS * Int32Array.BYTES_PER_ELEMENT));
  return { seed: randomInt(2 ** 32), strangers: create(), acquaintances: create(), reflections: create() };
}

export class CommonGround {
  readonly memory: CommonMemory;
  readonly #owners: OwnersOfAll;
  readonly #losses: number[];

  /** Throws `SystemError` when no descriptor is left. */
  constructor({ relays, relayPorts }: TurnServerConfig, count: number) {
    const shards = Array.from({ length: count }, (_, index) => index);
    this.memory = {
      rings: shards.map((from) => shards.map((to) => (from === to ? undefined : createPacketRing()))),
      events: shards.map(() => openEvent()),
      sketches: shards.map(() => createSketch()),
      owners: createOwners(relayPorts),
      budgets: createBudgets(),
      countKey: randomBytes(keyLength),
      tokenKey: randomBytes(keyLength),
    };
    this.#losses = shards.map(() => 0);
    this.#owners = new OwnersOfAll(this.memory.owners);
    this.#owners.setAddresses(relays);
  }

  /** How many workers have had this number before. */
  incarnation(index: number): number {
    return this.#losses[index] as number;
  }

  /** Before shards are told. */
  setAddresses(relays: readonly RelayAddress[]): void {
    this.#owners.setAddresses(relays);
  }

  /** The shard has died: it owns nothing, and has no allocations. */
  handleLost(index: number): void {
    this.#losses[index] = this.incarnation(index) + 1;
    this.#owners.clear(index);
    emptySketch(this.memory.sketches[index] as SharedArrayBuffer);
  }

  /** When no worker is left. */
  close(): void {
    for (const event of this.memory.events) closeDescriptor(event);
  }
}
