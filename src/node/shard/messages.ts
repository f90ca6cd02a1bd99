/** What the main thread and its workers say to each other: plain data, and rare. Packets never cross. */
import type { Address } from "../../core/base/address.ts";
import type { RelayAddress, SharedSecret, TurnServerConfig } from "../../core/turn/server/config.ts";
import type { DiscoverySquare } from "../../core/turn/server/discovery-sites.ts";
import type { TurnServerEvent, UserKeys, UserQuery } from "../../core/turn/server/outputs.ts";
import type { ShardMessage } from "../../core/turn/server/shard.ts";
import type { Log } from "../log.ts";
import type { StreamLimits } from "../net/stream-limits.ts";
import type { SteeredPair } from "../sys/steering.ts";
import type { HostStats } from "../turn-service.ts";
import type { CommonMemory } from "./common-ground.ts";
import type { Letter } from "./exchange.ts";

/** With what a worker begins. */
export interface ShardData {
  /** Which of all workers it is, counted from 0; the one for streams is the last. */
  readonly index: number;
  readonly count: number;
  /** With this worker's part of ports, and what else is true now. */
  readonly config: TurnServerConfig;
  readonly wakeDelay: number;
  readonly offload: boolean;
  readonly offloadHelper: string | undefined;
  readonly offloadInterfaces: readonly string[];
  readonly streams: Partial<StreamLimits>;
  /** Where it records which descriptors it has open: see `open-descriptors.ts`. */
  readonly descriptors: Int32Array<SharedArrayBuffer>;
  /** Where it shows that it takes turns: see `pulse.ts`. */
  readonly pulse: Int32Array<SharedArrayBuffer>;
  /** What it shares with the other workers. */
  readonly common: CommonMemory;
  /** How many workers have had this index before. */
  readonly incarnation: number;
}

/** A `TlsIdentity` with nothing hidden. */
export interface PlainIdentity {
  readonly certificate: string | Uint8Array;
  readonly key: string | Uint8Array;
}

/** What the worker does before it says that it has. */
export type ShardTask =
  | {
      readonly type: "listen";
      /** The main thread's number of this listener, by which it is called in every other message. */
      readonly listener: number;
      readonly transport: "udp" | "tcp" | "tls";
      readonly address: Readonly<Address>;
      readonly identity: PlainIdentity | undefined;
      /** Of `udp`. The worker never closes them. */
      readonly sockets: SteeredPair | undefined;
    }
  | { readonly type: "unlisten"; readonly listener: number }
  | { readonly type: "stats" }
  | { readonly type: "close" };

export type ToShard =
  | { readonly type: "task"; readonly task: number; readonly what: ShardTask }
  | { readonly type: "tls"; readonly identity: PlainIdentity }
  | {
      readonly type: "addresses";
      readonly relays: readonly RelayAddress[];
      readonly own: readonly Readonly<Address>[];
    }
  | { readonly type: "squares"; readonly squares: readonly DiscoverySquare[] }
  | { readonly type: "secrets"; readonly secrets: readonly SharedSecret[] }
  | { readonly type: "userRemoved"; readonly username: string }
  | { readonly type: "drain" }
  /** `descriptor`: of a socket that is the receiver's from now on. */
  | {
      readonly type: "fromShard";
      readonly from: number;
      readonly message: ShardMessage;
      readonly descriptor: number | undefined;
    }
  | { readonly type: "shardLost"; readonly shard: number }
  | { readonly type: "keys"; readonly lookup: number; readonly keys: UserKeys | undefined };

/** An error of which everything is kept that a program or a reader looks at. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly stack: string | undefined;
}

/** What a task came to: the address that was bound, what was counted, or why it failed. */
export interface TaskResult {
  readonly address?: Readonly<Address>;
  readonly stats?: HostStats;
  readonly error?: PlainError;
}

export type FromShard =
  /** It hears what it is told; what it was told before, it has heard. */
  | { readonly type: "ready" }
  | ({ readonly type: "toShard" } & Letter)
  | { readonly type: "done"; readonly task: number; readonly result: TaskResult }
  | { readonly type: "event"; readonly event: TurnServerEvent }
  | { readonly type: "lookup"; readonly lookup: number; readonly user: UserQuery; readonly realm: string }
  | { readonly type: "log"; readonly level: keyof Log; readonly fields: object; readonly event: string };

export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), code: undefined, stack: undefined };
  const { code } = error as NodeJS.ErrnoException;
  return { name: error.name, message: error.message, code, stack: error.stack };
}
