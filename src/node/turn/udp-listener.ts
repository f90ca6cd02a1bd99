/** A UDP socket to which clients send. It has one `ClientPath`, whose remote address is another for every datagram. */
import type { Address, ClientAddress } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";
import type { ClientPath } from "../../core/turn/server/client-path.ts";
import type { BindFailure, DatagramSink, Datapath, SocketId } from "../datapath/datapath.ts";
import { listenerClosed, listenFailure } from "../net/listen-failure.ts";
import type { Egress } from "./egress.ts";
import type { TurnDriver } from "./turn-driver.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class UdpListener implements DatagramSink {
  readonly #id: number;
  readonly #driver: TurnDriver;
  readonly #datapath: Datapath;
  readonly #egress: Egress;
  readonly #path: Mutable<ClientPath>;
  readonly #opened: PromiseWithResolvers<Readonly<Address>> = Promise.withResolvers();
  #socket: SocketId | undefined;

  constructor(id: number, address: Readonly<Address>, driver: TurnDriver, datapath: Datapath, egress: Egress) {
    this.#id = id;
    this.#driver = driver;
    this.#datapath = datapath;
    this.#egress = egress;
    this.#path = { transport: "udp", listener: id, local: address, remote: address, connection: 0 };
  }

  /** Resolves with the address that was bound; rejects with `PosternError`, see `TurnService.listen`. */
  open(): Promise<Readonly<Address>> {
    this.#socket = this.#datapath.bind(this.#path.local, "turn-listener", this);
    this.#egress.setListener(this.#id, this.#socket);
    return this.#opened.promise;
  }

  /** What is still opening rejects. */
  close(): void {
    if (this.#socket !== undefined) this.#datapath.release(this.#socket);
    this.#forget();
    this.#opened.reject(listenerClosed());
  }

  #forget(): void {
    this.#socket = undefined;
    this.#egress.removeListener(this.#id);
  }

  handleBound(_socket: SocketId, address: Readonly<Address>): void {
    this.#path.local = address;
    this.#opened.resolve(address);
  }

  handleBindFailed(_socket: SocketId, _why: BindFailure, cause: Error): void {
    this.#forget();
    this.#opened.reject(listenFailure("udp", this.#path.local, cause));
  }

  handleDatagram(data: Uint8Array, length: number, from: ClientAddress, fill?: number, fields?: IpFields): void {
    this.#path.remote = from;
    this.#driver.clientDatagram(data, length, this.#path, fill, fields);
  }
}
