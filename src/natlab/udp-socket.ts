/** What a program sees of the simulated network: a datagram socket. */
import type { Address } from "../core/base/address.ts";

export interface SendOptions {
  /** Lost rather than cut where a link is too narrow. */
  readonly dontFragment?: boolean;
  /** How many routers it passes at most; 64 when not given. */
  readonly hopLimit?: number;
}

/** What a socket asks of its host. */
export interface SocketHost {
  send(data: Uint8Array, to: Readonly<Address>, options: SendOptions): void;
  join(group: string): void;
  release(): void;
}

export class UdpSocket {
  readonly address: Readonly<Address>;
  /** Called with what arrives; the bytes belong to the receiver. */
  onMessage: ((data: Uint8Array, from: Readonly<Address>) => void) | undefined = undefined;
  readonly #host: SocketHost;
  #closed = false;

  constructor(address: Readonly<Address>, host: SocketHost) {
    this.address = address;
    this.#host = host;
  }

  /** Sends a copy of `data`. As with real UDP nobody says whether it arrives. Does nothing once closed. */
  send(data: Uint8Array, to: Readonly<Address>, options: SendOptions = {}): void {
    if (!this.#closed) this.#host.send(data, to, options);
  }

  /**
   * Hears from now on what is sent to `group` and the socket's port on its link, by its own host too. Throws a
   * PosternError, code NATLAB_ADDRESS, for what is no multicast group of its family.
   */
  join(group: string): void {
    if (!this.#closed) this.#host.join(group);
  }

  close(): void {
    if (!this.#closed) this.#host.release();
    this.#closed = true;
  }
}
