/** A connected UDP socket: the kernel passes on only what comes from the server's own address and port. */
import { createSocket, type Socket } from "node:dgram";
import { type Address, formatIp } from "../../core/base/address.ts";
import { CHANNEL_HEADER_LENGTH, encodeChannelHeader } from "../../core/turn/channel-data.ts";
import { mediaBacklog, type PathSink, type ServerPath } from "./server-path.ts";

export class UdpPath implements ServerPath {
  readonly #socket: Socket;
  #sink: PathSink | undefined;
  #isConnected = false;

  /** `localAddress`: where it is sent from; undefined: what the routes say. */
  constructor(server: Readonly<Address>, localAddress: string | undefined, sink: PathSink) {
    this.#sink = sink;
    this.#socket = createSocket(server.family === 4 ? "udp4" : "udp6");
    this.#socket.on("message", (data) => this.#sink?.handleMessage(data));
    this.#socket.on("error", (error) => this.#handleError(error));
    this.#socket.on("connect", () => {
      this.#isConnected = true;
      this.#sink?.handleConnected();
    });
    this.#socket.bind({ port: 0, ...(localAddress === undefined ? {} : { address: localAddress }) }, () => {
      if (this.#sink !== undefined) this.#socket.connect(server.port, formatIp(server));
    });
  }

  send(data: Uint8Array): boolean {
    if (!this.#isConnected || this.#socket.getSendQueueSize() > mediaBacklog) return false;
    this.#socket.send(data);
    return true;
  }

  sendChannelData(channel: number, data: Uint8Array): boolean {
    const message = Buffer.allocUnsafe(CHANNEL_HEADER_LENGTH + data.length);
    encodeChannelHeader(message, 0, channel, data.length);
    message.set(data, CHANNEL_HEADER_LENGTH);
    return this.send(message);
  }

  close(): void {
    if (this.#sink === undefined) return;
    this.#sink = undefined;
    this.#isConnected = false;
    this.#socket.close();
  }

  #handleError(error: Error): void {
    // Anybody on the path can send an ICMP error: once connected, only silence counts.
    if (this.#isConnected) return;
    const sink = this.#sink;
    this.close();
    sink?.handleDisconnected(error);
  }
}
