/**
 * The main thread's part in what shards tell each other: everything goes through it, because it alone knows who is alive. A
 * socket that changes hands is recorded as the receiver's before that hears of it, so that it is closed with either.
 */
import { incarnationOf, type ShardMessage } from "../../core/turn/server/shard.ts";
import { closeDescriptor } from "../sys/udp-socket.ts";
import type { ToShard } from "./messages.ts";

/** One of the shards. */
export interface Correspondent {
  readonly isUp: boolean;
  readonly incarnation: number;
  post(message: ToShard): void;
  /** From now on this descriptor is closed when the shard ends. */
  give(descriptor: number): void;
}

export interface Letter {
  readonly to: number;
  readonly message: ShardMessage;
  readonly descriptor: number | undefined;
}

export function forward(shards: readonly Correspondent[], from: number, { to, message, descriptor }: Letter): void {
  const [sender, receiver] = [shards[from], shards[to]];
  if (sender === undefined || receiver === undefined) return;
  if (isAwaited(receiver, message)) {
    if (descriptor !== undefined) receiver.give(descriptor);
    receiver.post({ type: "fromShard", from, message, descriptor });
    return;
  }
  if (descriptor !== undefined) closeDescriptor(descriptor);
  const answer = answerFor(message);
  if (answer !== undefined) sender.post({ type: "fromShard", from: to, message: answer, descriptor: undefined });
}

/** An answer to a shard that has died is not for its successor. */
function isAwaited({ isUp, incarnation }: Correspondent, message: ShardMessage): boolean {
  if (message.type === "claim" || message.type === "port-returned") return isUp;
  return isUp && incarnationOf(message.claim) === incarnation;
}

/** What the dead would say. */
function answerFor(message: ShardMessage): ShardMessage | undefined {
  if (message.type === "claim") return { type: "refused", claim: message.claim };
  return message.type === "handed-over" ? { type: "port-returned", bound: message.bound } : undefined;
}
