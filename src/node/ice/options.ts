/** What a user says of a connection. */
import type { IceRole } from "../../core/ice/config.ts";
import type { IceEvent } from "../../core/ice/outputs.ts";
import type { TlsOptions } from "../turn-client/stream-path.ts";

/** As WebRTC has it, so that what a server hands out to browsers can be given here. */
export interface IceServer {
  /** `stun:`, `turn:` and `turns:` URIs. */
  readonly urls: string | readonly string[];
  /** For TURN. */
  readonly username?: string;
  /** For TURN: the password. */
  readonly credential?: string;
}

export interface IceConnectionOptions {
  /** Without any, only hosts that reach each other without help are connected. */
  readonly iceServers?: readonly IceServer[];
  /**
   * Who made the offer is controlling (RFC 8445 §6.1.1). `controlling` when not given: two agents that say the same agree
   * by themselves who it is.
   */
  readonly role?: IceRole;
  /** RTP and RTCP apart are two; 1 when not given. */
  readonly components?: number;
  /** `relay`: nothing but relays is used, so that the peer learns no address of this host. */
  readonly policy?: "all" | "relay";
  /**
   * Names of the interfaces that may be used, such as `eth0`. When not given all but those that only this host can reach
   * (RFC 8445 §5.1.1.1), which have to be named.
   */
  readonly interfaces?: readonly string[];
  /** Data may pass a relay before it is known that nothing better works. */
  readonly relayFirst?: boolean;
  /**
   * Where ordinary checks find no direct path, ports of the peer's NAT are guessed, if the peer does so too: for up to 20 s,
   * with at most 256 sockets, 1,280 datagrams and 100 of them in a second. It needs STUN servers at two addresses. Off when
   * not given.
   */
  readonly hardNats?: boolean;
  /**
   * The peer is told random names instead of the host's addresses, which only those on the same link can look up, by
   * mDNS. Off when not given. Names of the peer's are looked up in any case.
   */
  readonly mdns?: boolean;
  /** Milliseconds that servers may take before gathering is called done; 2,000 when not given. */
  readonly gatheringBudget?: number;
  /** For `turns:`; the names are those of node:tls. */
  readonly tls?: TlsOptions;
  /** An HTTP proxy that TCP and TLS to TURN servers go through, such as `http://proxy.example:3128`. */
  readonly proxy?: string;
  /** Aborts `open`; a connection that is open does not hear it. */
  readonly signal?: AbortSignal;
  readonly onData?: OnIceData;
  readonly onCandidate?: (line: string) => void;
  readonly onEvent?: (event: IceEvent) => void;
}

/** `data` is lent until the call returns: copy what is to be kept. */
export type OnIceData = (data: Uint8Array, component: number) => void;
