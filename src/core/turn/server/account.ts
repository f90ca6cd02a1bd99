/** What one allocation has relayed, and how much it may: added up for itself and for the whole server. */
import type { TokenBucket } from "../../base/token-bucket.ts";
import type { TurnServerStats } from "./stats.ts";

export interface Traffic {
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClient: number;
  readonly bytesToClient: number;
}

export class Account {
  /** Bytes a second toward peers and toward the client; undefined: as many as come. */
  readonly uplink: TokenBucket | undefined;
  readonly downlink: TokenBucket | undefined;
  readonly #stats: TurnServerStats;
  readonly #traffic = { packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0 };

  constructor(stats: TurnServerStats, uplink: TokenBucket | undefined, downlink: TokenBucket | undefined) {
    this.#stats = stats;
    this.uplink = uplink;
    this.downlink = downlink;
  }

  /** Goes on to be added to: a datapath may say later what it has forwarded. */
  get traffic(): Traffic {
    return this.#traffic;
  }

  countToPeer(packets: number, bytes: number): void {
    this.#traffic.packetsToPeers += packets;
    this.#traffic.bytesToPeers += bytes;
    this.#stats.packetsToPeers += packets;
    this.#stats.bytesToPeers += bytes;
  }

  countToClient(packets: number, bytes: number): void {
    this.#traffic.packetsToClient += packets;
    this.#traffic.bytesToClient += bytes;
    this.#stats.packetsToClients += packets;
    this.#stats.bytesToClients += bytes;
  }
}
