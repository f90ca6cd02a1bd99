/** What a program sees of the simulated network: a datagram socket. */
import type { Address } from "../core/base/address.ts";

export interface SendOptions {
  /** Lost rather than cut where a link is too narrow. */
  readonly dontFragment?: boolean;
  /** How many routers it passes at most; 64 when not given. */
  readonly hopLimit?: number;
}

export class UdpSocket {
  readonly address: Readonly<Address>;
  /** Called with what arrives; the bytes belong to the receiver. */
  onMessage: ((data: Uint8Array, from: Readonly<Address>) => void) | undefined = undefined;
  readonly #send: (data: Uint8Array, to: Readonly<Address>, options: SendOptions) => void;
  readonly #release: () => void;
  #closed = false;

  constructor(
    address: Readonly<Address>,
    send: (data: Uint8Array, to: Readonly<Address>, options: SendOptions) => void,
    release: () => void,
  ) {
    this.address = address;
    this.#send = send;
    this.#release = release;
  }

  /** Sends a copy of `data`. As with real UDP nobody says whether it arrives. Does nothing once closed. */
  send(data: Uint8Array, to: Readonly<Address>, options: SendOptions = {}): void {
    if (!this.#closed) this.#send(data, to, options);
  }

  close(): void {
    if (!this.#closed) this.#release();
    this.#closed = true;
  }
}
