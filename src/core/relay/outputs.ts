/** What the media relay asks of its driver, what it returns for a packet, and what it tells. */
import type { Address } from "../base/address.ts";
import type { SdpDocument } from "../sdp/document.ts";
import type { MediaFlow } from "./media-flow.ts";

declare const portId: unique symbol;
declare const sessionId: unique symbol;
declare const legId: unique symbol;

/** Names one socket. Small integers, reused after release. */
export type PortId = number & { readonly [portId]?: true };
/** Names one call. Never used again. */
export type SessionId = number & { readonly [sessionId]?: true };
/** Names one party of one call. Never used again. */
export type LegId = number & { readonly [legId]?: true };

/** Where packets toward one party leave: by this socket, to that remote. It lives until the party is elsewhere. */
export interface Route {
  readonly port: PortId;
  readonly remote: Readonly<Address>;
  /** Counted by the core for what it forwards. */
  packets: number;
  bytes: number;
}

/** Why a description is not forwarded. `gone`: the call or one of its parties has ended meanwhile. */
export type DescriptionRefusal = "too-many-streams" | "port-quota" | "no-address" | "no-ports" | "gone";

export type RelayEvent =
  /** A party's endpoint is known: from now on its media is taken from there alone, and sent there. */
  | {
      readonly type: "learned";
      readonly session: SessionId;
      readonly leg: LegId;
      readonly stream: number;
      readonly component: "media" | "control";
      readonly remote: Readonly<Address>;
      readonly isFirst: boolean;
    }
  /**
   * No packet for `mediaTimeout`, and nobody holds; or never confirmed; or, where ICE passes and media may go without us,
   * nothing for so long that nobody talks any more. The call still holds its ports.
   */
  | { readonly type: "timeout"; readonly session: SessionId; readonly why: "silent" | "unconfirmed" | "unseen" }
  /** A socket was lost that media came in by. */
  | { readonly type: "port-lost"; readonly session: SessionId; readonly leg: LegId; readonly stream: number };

export type MediaRelayOutput =
  /** Open a UDP socket on exactly this address and port; answered by `handlePortBound` or `handlePortFailed`. */
  | { readonly kind: "bindPort"; readonly port: PortId; readonly address: Readonly<Address> }
  | { readonly kind: "releasePort"; readonly port: PortId }
  /** The answer to `describe`: the description to forward. */
  | { readonly kind: "described"; readonly request: number; readonly document: SdpDocument }
  | { readonly kind: "undescribed"; readonly request: number; readonly why: DescriptionRefusal }
  /**
   * Hints: the datapath may forward these packets without asking, or must ask again. They are withdrawn before anything is
   * said that ends them.
   */
  | { readonly kind: "offload" | "withdraw"; readonly flow: MediaFlow }
  | { readonly kind: "event"; readonly event: RelayEvent }
  /** Our own packet, to be sent by this route. */
  | { readonly kind: "media"; readonly route: Route; readonly data: Uint8Array; readonly length: number };

/**
 * Why a packet was dropped. `stranger`: from an address that is not the party's. `other-port`: from its address, and not
 * from where its media comes. `learning`: from its address, while it is found out which port is its. `unnegotiated`: of a
 * payload type that nobody agreed on. `malformed`: not what the stream carries. `no-way`: the other party cannot be reached
 * yet, holds, or another phone was first. `idle`: the stream has no description. `unsealed`: a connectivity check that the
 * call's passwords have not sealed. `hop-limit`: it had no hops left.
 */
export const RELAY_DROPS = [
  "stranger",
  "other-port",
  "learning",
  "unnegotiated",
  "malformed",
  "no-way",
  "idle",
  "unsealed",
  "hop-limit",
] as const;
export type RelayDrop = (typeof RELAY_DROPS)[number];
export type RelayDrops = Record<RelayDrop, number>;

export function noDrops(): RelayDrops {
  return {
    stranger: 0,
    "other-port": 0,
    learning: 0,
    unnegotiated: 0,
    malformed: 0,
    "no-way": 0,
    idle: 0,
    unsealed: 0,
    "hop-limit": 0,
  };
}
