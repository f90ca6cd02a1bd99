/** What a TURN client is told when it starts. */
import type { Address } from "../../base/address.ts";

/** When an allocation is lost, whether and when another is made. Times in milliseconds. */
export interface Reallocation {
  /** Tries in a row; 0: a lost allocation is the end. */
  readonly attempts: number;
  /** Before the first try, doubled for each further one up to `maxDelay`; shortened at random to between half and all. */
  readonly firstDelay: number;
  readonly maxDelay: number;
}

export interface TurnClientConfig {
  readonly server: Readonly<Address>;
  /** Between client and server. Over UDP requests are repeated, and the NAT's mapping is kept alive. */
  readonly transport: "udp" | "tcp" | "tls";
  readonly username: string;
  readonly password: string;
  /** The families of the relayed addresses; with `both` a server may refuse one (RFC 8656 §7.2). */
  readonly families: "ipv4" | "ipv6" | "both";
  /** Seconds to ask for; undefined: what the server gives by default. */
  readonly lifetime: number | undefined;
  /** `even`: an even port; `pair`: an even port, and the next one reserved, for which `allocated` brings a token. */
  readonly port: "any" | "even" | "pair";
  /** Claims the port that another allocation reserved. Excludes everything but `families: "ipv4"` and `port: "any"`. */
  readonly reservationToken: Uint8Array | undefined;
  /**
   * Milliseconds between keepalives over UDP, which keep the NAT's mapping, and notice when it changes, when the server has
   * forgotten the allocation, and when nobody answers; over a stream twice as many. 0: none.
   */
  readonly keepalive: number;
  readonly reallocation: Reallocation;
  /** Whether others may be had when these credentials end: then `renew` asks for them. */
  readonly renewable: boolean;
  /** Sets the DF bit on what goes out in Send indications; a server that cannot refuses the allocation (420). */
  readonly dontFragment: boolean;
}

export const DEFAULT_KEEPALIVE = 25_000;
/** Two minutes of tries, when each fails at once. */
export const DEFAULT_REALLOCATION: Reallocation = { attempts: 8, firstDelay: 500, maxDelay: 60_000 };
