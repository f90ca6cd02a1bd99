/** Where a SIP message came from, and where a new one goes. */
import { type Address, formatAddress, sameAddress } from "../base/address.ts";

export type SipTransport = "udp" | "tcp" | "tls";

/** Where a message really came from, whatever its headers say, and can be answered to. */
export interface SipFlow {
  readonly transport: SipTransport;
  readonly local: Readonly<Address>;
  readonly remote: Readonly<Address>;
  /** The connection's number, 0 for UDP. */
  readonly connection: number;
}

/** Where a new request goes; of streams the shell uses a connection that is open, or opens one. */
export interface SipTarget {
  readonly transport: SipTransport;
  readonly address: Readonly<Address>;
  /** The address of ours that it leaves from; the nearest where none is said. */
  readonly local?: Readonly<Address>;
  /** The name that a TLS certificate must bear. */
  readonly serverName?: string;
}

/** Whether two messages came the same way. */
export function isSameFlow(a: SipFlow, b: SipFlow): boolean {
  return a.transport === b.transport && a.connection === b.connection && sameAddress(a.remote, b.remote);
}

/** Equal for what came the same way. */
export function flowKey({ transport, connection, remote }: SipFlow): string | number {
  // Of nearly all phones: a number costs a tenth of making a text.
  if (transport === "udp" && remote.family === 4) return (remote.w3 >>> 0) * 0x1_0000 + remote.port;
  return `${transport} ${connection} ${formatAddress(remote)}`;
}
