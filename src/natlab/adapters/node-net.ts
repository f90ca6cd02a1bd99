/** A host's TCP in the shape of `node:net`, and of `node:tls` over natlab's TLS, as far as programs use them. */
import { PosternError } from "../../core/base/failure.ts";
import type { Host } from "../host.ts";
import type { ByteStream } from "../tcp/byte-stream.ts";
import type { TcpListener } from "../tcp/listener.ts";
import { tlsClient, tlsServer } from "../tls/tls-stream.ts";
import type { World } from "../world.ts";
import { Emitter } from "./emitter.ts";
import { NetSocket, type NetSocketOptions } from "./net-socket.ts";
import { fromNodeAddress, type NodeAddress, type NodeError, nodeError, toNodeAddress } from "./node-address.ts";

interface ServerEvents {
  listening: [];
  connection: [socket: NetSocket];
  close: [];
  error: [error: NodeError];
}

export class NetServer extends Emitter<ServerEvents> {
  readonly #world: World;
  readonly #host: Host;
  readonly #options: NetSocketOptions & { readonly tls: boolean };
  #listener: TcpListener | undefined;

  constructor(world: World, host: Host, options: NetSocketOptions & { readonly tls: boolean }) {
    super();
    this.#world = world;
    this.#host = host;
    this.#options = options;
  }

  /** `listen(port?, address?, callback?)`; an error is an event. */
  listen(port = 0, address?: string, callback?: () => void): this {
    if (callback !== undefined) this.once("listening", callback);
    try {
      const at = { ...(address === undefined ? {} : { address }), ...(port === 0 ? {} : { port }) };
      this.#listener = this.#host.listen(at, (connection) => this.#accept(connection));
      this.#soon(() => this.emit("listening"));
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      const code = error.code === "NATLAB_PORT" ? "EADDRINUSE" : "EADDRNOTAVAIL";
      this.#soon(() => this.emit("error", nodeError(code, "listen")));
    }
    return this;
  }

  address(): NodeAddress | null {
    return this.#listener === undefined ? null : toNodeAddress(this.#listener.address);
  }

  /** Takes no more connections; those that are there, stay. */
  close(callback?: () => void): this {
    if (callback !== undefined) this.once("close", callback);
    this.#listener?.close();
    this.#listener = undefined;
    this.#soon(() => this.emit("close"));
    return this;
  }

  #accept(connection: ByteStream): void {
    const stream = this.#options.tls ? tlsServer(connection) : connection;
    const socket = new NetSocket(this.#world, this.#options).adopt(stream, true);
    // With TLS a server's program hears of it once hands are shaken.
    if (this.#options.tls) stream.onOpen = () => this.emit("connection", socket);
    else this.emit("connection", socket);
  }

  #soon(action: () => void): void {
    this.#world.at(this.#world.now, action);
  }
}

export interface NetConnectOptions extends NetSocketOptions {
  readonly port: number;
  readonly host: string;
  readonly localAddress?: string;
  readonly localPort?: number;
  /** TLS: the name that is told to the server. */
  readonly servername?: string;
}

export interface NodeNet {
  connect(options: NetConnectOptions, onConnect?: () => void): NetSocket;
  createServer(options?: NetSocketOptions, onConnection?: (socket: NetSocket) => void): NetServer;
}

function make(world: World, host: Host, tls: boolean): NodeNet {
  return {
    connect: (options, onConnect) => {
      const { localAddress: address, localPort: port, servername } = options;
      const local = { ...(address === undefined ? {} : { address }), ...(port === undefined ? {} : { port }) };
      const connection = host.connect(fromNodeAddress(options.host, options.port), local);
      const stream = tls
        ? tlsClient(connection, servername === undefined ? {} : { serverName: servername })
        : connection;
      const socket = new NetSocket(world, options).adopt(stream, false);
      return onConnect === undefined ? socket : socket.once("connect", onConnect);
    },
    createServer: (options = {}, onConnection) => {
      const server = new NetServer(world, host, { ...options, tls });
      return onConnection === undefined ? server : server.on("connection", onConnection);
    },
  };
}

/** What stands in for `node:net` in a program that runs on `host`. */
export function nodeNet(world: World, host: Host): NodeNet {
  return make(world, host, false);
}

/** The same, over what looks like TLS to whoever is between. */
export function nodeTls(world: World, host: Host): NodeNet {
  return make(world, host, true);
}
