/** Relay sockets that change hands between shards, and the messages about them. */
import type { TurnServerOutput } from "../../core/turn/server/outputs.ts";
import type { ClaimId, ShardMessage } from "../../core/turn/server/shard.ts";
import type { ShardLink } from "../shard/shard-link.ts";
import { closeDescriptor } from "../sys/udp-socket.ts";
import type { RelaySockets } from "./relay-sockets.ts";
import type { TurnDriver } from "./turn-driver.ts";

type HandOverOutput = Extract<TurnServerOutput, { kind: "tell" | "handOverRelay" | "adoptRelay" | "declineRelay" }>;

export class HandOvers {
  readonly #link: ShardLink;
  readonly #driver: TurnDriver;
  readonly #relays: RelaySockets;
  /** Sockets that have come, while the machine decides. */
  readonly #arrived: Map<ClaimId, number> = new Map();

  constructor(link: ShardLink, driver: TurnDriver, relays: RelaySockets) {
    this.#link = link;
    this.#driver = driver;
    this.#relays = relays;
  }

  /** `descriptor`: of a socket that came with it, and is this thread's now. */
  handle(from: number, message: ShardMessage, descriptor: number | undefined): void {
    if (message.type === "handed-over" && descriptor !== undefined) this.#arrived.set(message.claim, descriptor);
    this.#driver.input((machine, now) => machine.handleShardMessage(from, message, now));
    // A driver that has stopped decides nothing.
    if (message.type === "handed-over") this.#close(message.claim);
  }

  perform(output: HandOverOutput): void {
    switch (output.kind) {
      case "tell":
        return this.#link.tell(output.shard, output.message);
      case "handOverRelay":
        return this.#handOver(output);
      case "adoptRelay": {
        const descriptor = this.#arrived.get(output.claim);
        this.#arrived.delete(output.claim);
        if (descriptor !== undefined) this.#relays.adopt(output.relay, descriptor, output.address);
        return;
      }
      case "declineRelay":
        return this.#close(output.claim);
    }
  }

  #handOver({ relay, shard, claim, bound }: HandOverOutput & { kind: "handOverRelay" }): void {
    const descriptor = this.#relays.detach(relay);
    if (descriptor !== undefined) return this.#link.tell(shard, { type: "handed-over", claim, bound }, descriptor);
    // The socket has died: nobody gets it, and the port is ours again.
    this.#link.tell(shard, { type: "refused", claim });
    this.#driver.input((machine, now) => machine.handleShardMessage(shard, { type: "port-returned", bound }, now));
  }

  #close(claim: ClaimId): void {
    const descriptor = this.#arrived.get(claim);
    this.#arrived.delete(claim);
    if (descriptor !== undefined) closeDescriptor(descriptor);
  }
}
