/**
 * A flow: what arrives on this socket from that remote, with that channel number, leaves from that socket to that
 * remote, with this channel number. The core decides flows; a datapath moves their packets. A flow object lives as
 * long as its channel or permission, so that handing it out for every packet allocates nothing.
 */
import type { PeerAddress } from "../../base/address.ts";
import type { IpFields } from "../../base/ip-fields.ts";
import type { Instant } from "../../base/machine.ts";
import type { Account } from "./account.ts";
import type { ClientPath } from "./client-path.ts";

declare const relayId: unique symbol;

/** Names one relayed transport address of one allocation. Small integers, reused after release. */
export type RelayId = number & { readonly [relayId]?: true };

export interface Flow {
  /** Which way this flow's packets go. */
  readonly toward: "peer" | "client";
  readonly client: ClientPath;
  /** The channel number on the client's side; 0 where the client's side is not ChannelData. */
  readonly channel: number;
  readonly relay: RelayId;
  readonly peer: PeerAddress;
  /** The allocation's. */
  readonly account: Account;
  /** Counted by the core for what it forwards; a datapath that forwards by itself tells what it did to `countOffloaded`. */
  packets: number;
  /** Payload bytes, without any header. */
  bytes: number;
  /** It is over then, if nobody prolongs it. Only the core writes this, and takes the flow back by itself in time. */
  until: Instant;
  /** Another client of this server, where packets come from one instead of from a peer. */
  readonly sender?: Sender | undefined;
}

export interface Sender {
  readonly client: ClientPath;
  readonly channel: number;
  readonly account: Account;
}

/** One packet, or some, of `bytes` payload bytes in all. */
export function countForwarded(flow: Flow, packets: number, bytes: number): void {
  flow.packets += packets;
  flow.bytes += bytes;
  if (flow.toward === "peer") flow.account.countToPeer(packets, bytes);
  else flow.account.countToClient(packets, bytes);
}

/** What a datapath has forwarded without asking. What that leaves of the bandwidth is for it to tell the account's buckets. */
export function countOffloaded(flow: Flow, packets: number, bytes: number): void {
  countForwarded(flow, packets, bytes);
  flow.sender?.account.countToPeer(packets, bytes);
}

/**
 * What to do with the bytes just handed in: `[offset, offset + length)` of them leave by `flow`. The machine has one
 * such object; it is valid until its next `handle*` call.
 */
export interface Forward {
  flow: Flow;
  offset: number;
  length: number;
  /** With what it leaves where that is a datagram of its own; with what it came when it is handed to a shard. */
  fields: IpFields;
  /**
   * The shard that has a relay at the flow's peer and is handed the bytes, as if they came from `source`; `NOBODY`: they
   * leave by the flow.
   */
  shard: number;
  source: PeerAddress;
}
