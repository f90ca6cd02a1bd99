/** A port on which a host takes connections. */
import type { Address } from "../../core/base/address.ts";
import type { TcpConnection } from "./connection.ts";

export interface ListenOptions {
  /** Connections that may be half open at the same time, 128 when not given; a SYN beyond them is dropped. */
  readonly backlog?: number;
}

export class TcpListener {
  readonly address: Readonly<Address>;
  readonly backlog: number;
  /** Called with each connection once it is open: set its handlers there. */
  onConnection: (connection: TcpConnection) => void;
  /** Half-open connections. */
  pending = 0;
  readonly #release: () => void;

  constructor(
    address: Readonly<Address>,
    backlog: number,
    onConnection: (connection: TcpConnection) => void,
    release: () => void,
  ) {
    this.address = address;
    this.backlog = backlog;
    this.onConnection = onConnection;
    this.#release = release;
  }

  get isFull(): boolean {
    return this.pending >= this.backlog;
  }

  /** Takes no more. Connections that are there, stay. */
  close(): void {
    this.#release();
  }
}
