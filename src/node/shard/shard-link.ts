/** What ties one worker's server to those of the others. */
import type { Shard, ShardMessage } from "../../core/turn/server/shard.ts";
import { nodeCrypto } from "../crypto.ts";
import type { CommonMemory } from "./common-ground.ts";
import { Neighbours } from "./neighbours.ts";
import type { PacketSink } from "./packet-ring.ts";
import { PortOwners } from "./port-owners.ts";
import { SharedCounts } from "./shared-counts.ts";
import type { WaitLoop } from "./wait-loop.ts";

export interface ShardLink {
  readonly shard: Shard;
  /** Opens the way for packets; `sink` gets what others hand over. */
  connect(sink: PacketSink): Neighbours;
  /** `descriptor`: of a socket that goes with the message, and is not this thread's any more. */
  tell(to: number, message: ShardMessage, descriptor?: number): void;
}

export function shardLink(
  memory: CommonMemory,
  self: { readonly index: number; readonly count: number; readonly incarnation: number },
  loop: WaitLoop,
  tell: ShardLink["tell"],
): ShardLink {
  const { index } = self;
  const counts = new SharedCounts(memory.sketches, index, memory.countKey, nodeCrypto);
  const owners = new PortOwners(memory.owners, index);
  const shard = { ...self, counts, owners, budgets: memory.budgets, tokenKey: memory.tokenKey };
  return { shard, connect: (sink) => new Neighbours(memory, index, loop, sink), tell };
}
