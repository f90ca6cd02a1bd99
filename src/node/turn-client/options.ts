/** What a user says of an allocation. */
import type { Reallocation, TurnClientConfig } from "../../core/turn/client/config.ts";
import type { Failure } from "../../core/turn/client/failure.ts";
import type { TurnClientEvent } from "../../core/turn/client/outputs.ts";
import type { OnData } from "./client-driver.ts";
import type { TlsOptions } from "./stream-path.ts";

export interface TurnCredentials {
  readonly username: string;
  /** The password. */
  readonly credential: string;
}

export interface TurnAllocationOptions extends TurnCredentials {
  /** Such as `turn:turn.example.org`, `turn:192.0.2.1?transport=tcp`, `turns:turn.example.org:443` (RFC 7065). */
  readonly url: string;
  /** Aborts `open`; an allocation that is open does not hear it. */
  readonly signal?: AbortSignal;
  /** The families of the relayed addresses; `ipv4` when not given. */
  readonly families?: TurnClientConfig["families"];
  /** Seconds to ask for; the server decides. It is refreshed in time whatever it is. */
  readonly lifetime?: number;
  /** `even`: an even port; `pair`: and the next one reserved, see `reservationToken`. */
  readonly port?: TurnClientConfig["port"];
  /** Claims the port that an allocation with `port: "pair"` reserved. */
  readonly reservationToken?: Uint8Array;
  /**
   * Milliseconds between the packets that keep a NAT's mapping alive over UDP, and see whether server and allocation are
   * still there; over TCP and TLS twice as many. 25,000 when not given, 0: none.
   */
  readonly keepalive?: number;
  /**
   * Asked for other credentials when the server refuses these, or is about to; rejects when there are none. After a
   * minute it is not waited for any longer. See `TurnAllocation.renew`.
   */
  readonly renewCredentials?: (failure: Failure) => Promise<TurnCredentials>;
  /** Sets the DF bit on what goes to peers without a channel; servers that cannot refuse the allocation. */
  readonly dontFragment?: boolean;
  /** What happens when the allocation is lost; `{ attempts: 0 }`: nothing. */
  readonly reallocation?: Partial<Reallocation>;
  /** For `turns:`; the names are those of node:tls. */
  readonly tls?: TlsOptions;
  /** An HTTP proxy that TCP and TLS go through, such as `http://proxy.example:3128`. It resolves the server's name. */
  readonly proxy?: string;
  /** The local IP address to send from. */
  readonly localAddress?: string;
  readonly onData?: OnData;
  readonly onEvent?: (event: TurnClientEvent) => void;
}
