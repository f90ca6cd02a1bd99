/** What the TURN client asks of its driver, and what it tells. */
import type { Address, PeerAddress } from "../../base/address.ts";
import type { IcmpError } from "../icmp.ts";
import type { Failure } from "./failure.ts";

/** An allocation that is there. */
export interface Allocated {
  /** Relayed transport addresses: one, or one of each family. */
  readonly relayed: readonly Readonly<Address>[];
  /** The client's own address, as the server sees it. */
  readonly mapped: Readonly<Address>;
  /** Which may be the alternate one that the first named. */
  readonly server: Readonly<Address>;
  /** Seconds granted. */
  readonly lifetime: number;
  /** For the port after an even one (RFC 8656 §7.3). */
  readonly reservationToken: Uint8Array | undefined;
  /** The family of `both` that the server has not (RFC 8656 §18.12). */
  readonly refusedFamily: { readonly family: 4 | 6; readonly failure: Failure } | undefined;
}

export type TurnClientEvent =
  /** `again`: an allocation was lost, and this replaces it, with other addresses. Permissions and channels follow. */
  | { readonly type: "allocated"; readonly allocated: Allocated; readonly again: boolean }
  /** A permission was granted, or refused. It is told once for each `permit`, and when a refresh is refused. */
  | { readonly type: "permission"; readonly peer: PeerAddress; readonly failure: Failure | undefined }
  | {
      readonly type: "channel";
      readonly peer: PeerAddress;
      readonly channel: number;
      readonly failure: Failure | undefined;
    }
  /**
   * RFC 8656 §11.6: by an ICMP message, or an ICMPv6 message where the peer has IPv6, something that was sent to this peer did
   * not reach it. Anybody on the way can make such a message: it is a hint.
   */
  | { readonly type: "peer-error"; readonly peer: PeerAddress; readonly icmp: IcmpError }
  /** The allocation could not be prolonged, and ends in so many seconds. */
  | { readonly type: "not-refreshed"; readonly failure: Failure; readonly endsIn: number }
  /** The allocation is gone; another is tried for in so many milliseconds. */
  | { readonly type: "lost"; readonly failure: Failure; readonly retryIn: number }
  /** Other credentials did not come, or led to nothing: the allocation goes on as long as the server lets it. */
  | { readonly type: "not-renewed"; readonly failure: Failure }
  /** The last event. */
  | { readonly type: "ended"; readonly failure: Failure };

export type TurnClientOutput =
  /**
   * Open a new path (for UDP: a new local port) to `server` and close the old one; answered by `handleConnected`. Over
   * TLS the certificate is for `domain`; undefined: for the name that the user gave.
   */
  | { readonly kind: "connect"; readonly server: Readonly<Address>; readonly domain: string | undefined }
  /** The path is not needed any more. */
  | { readonly kind: "disconnect" }
  /** One datagram, or one frame of a stream, to the server. */
  | { readonly kind: "send"; readonly data: Uint8Array }
  /** Find other credentials, because of `failure`; answered by `handleCredentials` or `handleNoCredentials`. */
  | { readonly kind: "renew"; readonly failure: Failure }
  | { readonly kind: "event"; readonly event: TurnClientEvent };
