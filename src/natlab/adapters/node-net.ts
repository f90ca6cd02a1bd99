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
  /** Of TLS alone. */
  secureConnection: [socket: NetSocket];
  close: [];
  error: [error: NodeError];
}

interface ListenTo {
  readonly port?: number;
  readonly host?: string;
}

function portOf(port: unknown): ListenTo {
  return typeof port === "number" ? { port } : {};
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

  /** `listen(port?, host?, callback?)` or `listen({ port, host }, callback?)`; an error is an event. */
  listen(...args: readonly (number | string | ListenTo | (() => void))[]): this {
    const [first, second] = args;
    const callback = args.find((one) => typeof one === "function");
    const { port = 0, host }: ListenTo =
      typeof first === "object" ? first : { ...portOf(first), ...(typeof second === "string" ? { host: second } : {}) };
    if (callback !== undefined) this.once("listening", callback);
    try {
      const at = { ...(host === undefined ? {} : { address: host }), ...(port === 0 ? {} : { port }) };
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
    if (!this.#options.tls) this.emit("connection", socket);
    else
      stream.onOpen = () => {
        this.emit("connection", socket);
        this.emit("secureConnection", socket);
      };
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

type Connect = {
  (options: NetConnectOptions, onConnect?: () => void): NetSocket;
  (port: number, host: string, onConnect?: () => void): NetSocket;
};

type OnConnection = (socket: NetSocket) => void;

export interface NodeNet {
  readonly connect: Connect;
  readonly createConnection: Connect;
  readonly createServer: (options?: NetSocketOptions | OnConnection, onConnection?: OnConnection) => NetServer;
}

const localTroubles: Readonly<Record<string, string>> = {
  NATLAB_PORT: "EADDRINUSE",
  NATLAB_ADDRESS: "EADDRNOTAVAIL",
};

function open(world: World, host: Host, tls: boolean, options: NetConnectOptions): NetSocket {
  const { localAddress: address, localPort: port, servername } = options;
  const local = { ...(address === undefined ? {} : { address }), ...(port === undefined ? {} : { port }) };
  const to = fromNodeAddress(options.host, options.port);
  const socket = new NetSocket(world, options);
  try {
    const connection = host.connect(to, local);
    const stream = tls ? tlsClient(connection, servername === undefined ? {} : { serverName: servername }) : connection;
    return socket.adopt(stream, false, tls);
  } catch (error) {
    const code = error instanceof PosternError ? localTroubles[error.code] : undefined;
    if (code === undefined) throw error;
    return socket.fail(nodeError(code, "connect"));
  }
}

function make(world: World, host: Host, tls: boolean): NodeNet {
  const connect = (to: NetConnectOptions | number, second?: string | (() => void), third?: () => void): NetSocket => {
    const options = typeof to === "object" ? to : { port: to, host: typeof second === "string" ? second : "127.0.0.1" };
    const socket = open(world, host, tls, options);
    const onConnect = typeof second === "function" ? second : third;
    return onConnect === undefined ? socket : socket.once(tls ? "secureConnect" : "connect", onConnect);
  };
  return {
    connect,
    createConnection: connect,
    createServer: (first = {}, second = undefined) => {
      const [options, onConnection] = typeof first === "function" ? [{}, first] : [first, second];
      const server = new NetServer(world, host, { ...options, tls });
      return onConnection === undefined ? server : server.on(tls ? "secureConnection" : "connection", onConnection);
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
