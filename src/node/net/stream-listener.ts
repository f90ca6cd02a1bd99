/**
 * A TCP or TLS socket that accepts clients. A TLS client counts as half-open from the moment it is accepted; Node does
 * not say which accepted socket a finished handshake belongs to, so they are found again by the client's address.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import { type Address, formatIp, parseIp } from "../../core/base/address.ts";
import { listenerClosed, listenFailure } from "./listen-failure.ts";
import type { Arrival } from "./stream-table.ts";
import { secureOptions, type TlsIdentity } from "./tls-identity.ts";

/** How soon the kernel begins to ask a silent client whether it is still there. */
export const keepAliveMs = 60_000;

const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs } as const;

/** Who is let in, and what becomes of them. */
export interface StreamDoor {
  readonly handshakeMs: number;
  /** Lets a new connection in, or resets it. */
  admit(socket: Socket): Arrival | undefined;
  /** Serves an arrival, whose handshake is over if it has one. */
  serve(socket: Socket, arrival: Arrival, listener: number, transport: "tcp" | "tls", local: Readonly<Address>): void;
}

interface Handshake {
  readonly socket: Socket;
  readonly arrival: Arrival;
}

export class StreamListener {
  readonly id: number;
  readonly #door: StreamDoor;
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;
  readonly #handshakes: Map<string, Handshake> = new Map();
  readonly #opened: PromiseWithResolvers<Readonly<Address>> = Promise.withResolvers();
  #address: Readonly<Address>;

  /** Throws `PosternError` `bad-tls-identity`. */
  constructor(id: number, address: Readonly<Address>, identity: TlsIdentity | undefined, door: StreamDoor) {
    this.id = id;
    this.#address = address;
    this.#door = door;
    this.#server = createServer(socketOptions, (socket) => this.#accept(socket));
    if (identity !== undefined) {
      // It does not listen itself, so that who is refused costs no TLS state.
      this.#tls = createTlsServer({ ...secureOptions(identity), handshakeTimeout: door.handshakeMs });
      this.#tls.on("secureConnection", (socket) => this.#handleSecure(socket));
      this.#tls.on("tlsClientError", (_error, socket) => socket.destroy());
    }
  }

  /** Resolves with the address that was bound; rejects with `PosternError`, see `TurnService.listen`. */
  open(): Promise<Readonly<Address>> {
    const asked = this.#address;
    this.#server.on("error", (error) => this.#opened.reject(listenFailure(this.#transport, asked, error)));
    this.#server.on("listening", () => {
      const { address, port } = this.#server.address() as AddressInfo;
      this.#address = parseIp(address, port) ?? asked;
      this.#opened.resolve(this.#address);
    });
    this.#server.listen({ host: formatIp(asked), port: asked.port, exclusive: true, ipv6Only: true });
    return this.#opened.promise;
  }

  /** Accepts nobody any more and ends unfinished handshakes; those who are in stay. What is still opening rejects. */
  close(): void {
    this.#server.close();
    for (const { socket } of this.#handshakes.values()) socket.destroy();
    this.#opened.reject(listenerClosed());
  }

  /** For new handshakes. Throws `PosternError` `bad-tls-identity`, and changes nothing then. */
  updateTls(identity: TlsIdentity): void {
    this.#tls?.setSecureContext(secureOptions(identity));
  }

  get #transport(): "tcp" | "tls" {
    return this.#tls === undefined ? "tcp" : "tls";
  }

  #accept(socket: Socket): void {
    socket.on("error", ignore);
    const arrival = this.#door.admit(socket);
    if (arrival === undefined) return;
    if (this.#tls === undefined) this.#door.serve(socket, arrival, this.id, "tcp", this.#address);
    else this.#shakeHands(this.#tls, socket, arrival);
  }

  #shakeHands(tls: TlsServer, socket: Socket, arrival: Arrival): void {
    const key = clientKey(socket);
    const handshake = { socket, arrival };
    // An older one from this address can only be a socket whose end we have not heard of yet.
    this.#handshakes.get(key)?.arrival.admitted.leave("tls");
    this.#handshakes.set(key, handshake);
    socket.on("close", () => {
      if (this.#handshakes.get(key) !== handshake) return;
      this.#handshakes.delete(key);
      arrival.admitted.leave("tls");
    });
    tls.emit("connection", socket);
  }

  #handleSecure(socket: Socket): void {
    socket.on("error", ignore);
    const key = clientKey(socket);
    const handshake = this.#handshakes.get(key);
    if (handshake === undefined) {
      socket.destroy();
      return;
    }
    this.#handshakes.delete(key);
    this.#door.serve(socket, handshake.arrival, this.id, "tls", this.#address);
  }
}

function clientKey({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Every failure also closes the socket, which is what counts. */
function ignore(): void {}
