/** The path between a client and the server: what RFC 8656 §3.2 calls the 5-tuple. */
import { type Address, type ClientAddress, copyAddress, sameAddress } from "../../base/address.ts";

export interface ClientPath {
  readonly transport: "udp" | "tcp" | "tls";
  /** Which of the server's sockets: a listening UDP socket, or for streams the listener that accepted. */
  readonly listener: number;
  /** The server's transport address that the client reached, as bound. */
  readonly local: Readonly<Address>;
  /** The client's transport address, as the server sees it. */
  readonly remote: ClientAddress;
  /** Identifies a stream's connection and is never used again; 0 for UDP. */
  readonly connection: number;
}

export function samePath(a: ClientPath, b: ClientPath): boolean {
  return a.listener === b.listener && a.connection === b.connection && sameAddress(a.remote, b.remote);
}

/** Keeps a borrowed path. */
export function copyPath(path: ClientPath): ClientPath {
  return {
    transport: path.transport,
    listener: path.listener,
    local: path.local,
    remote: copyAddress(path.remote),
    connection: path.connection,
  };
}
