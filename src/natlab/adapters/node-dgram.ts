/**
 * A host's UDP in the shape of `node:dgram`, as far as most programs use it: `createSocket`, `bind`, `send`, `close`,
 * `address`, and the events listening, message, close and error. What arrives is a Uint8Array, no Buffer.
 */
import { concatBytes } from "../../core/base/bytes.ts";
import { PosternError } from "../../core/base/failure.ts";
import { encodeUtf8 } from "../../core/base/utf8.ts";
import type { Host } from "../host.ts";
import type { UdpSocket } from "../udp-socket.ts";
import type { World } from "../world.ts";
import { Emitter } from "./emitter.ts";
import { fromNodeAddress, type NodeAddress, type NodeError, nodeError, toNodeAddress } from "./node-address.ts";

export interface RemoteInfo extends NodeAddress {
  readonly size: number;
}

interface DgramEvents {
  listening: [];
  message: [message: Uint8Array, remote: RemoteInfo];
  close: [];
  error: [error: NodeError];
}

export interface BindOptions {
  readonly port?: number;
  /** One of the host's; its first of the socket's family when not given, or unspecified. */
  readonly address?: string;
}

type Message = Uint8Array | string | readonly (Uint8Array | string)[];
type Sent = (error: NodeError | null, bytes: number) => void;

function bytesOf(message: Message): Uint8Array {
  if (typeof message === "string") return encodeUtf8(message);
  return message instanceof Uint8Array ? message : concatBytes(...message.map(bytesOf));
}

/** Wildcards mean every address of a host, which a socket here never has: it takes the first. */
function isWildcard(address: string | undefined): boolean {
  return address === undefined || address === "0.0.0.0" || address === "::";
}

export class DgramSocket extends Emitter<DgramEvents> {
  readonly type: "udp4" | "udp6";
  readonly #world: World;
  readonly #host: Host;
  #socket: UdpSocket | undefined;
  #isClosed = false;

  constructor(world: World, host: Host, type: "udp4" | "udp6") {
    super();
    this.#world = world;
    this.#host = host;
    this.type = type;
  }

  /** `bind(port?, address?, callback?)` or `bind({ port, address }, callback?)`; an error is an event. */
  bind(...args: readonly (number | string | BindOptions | (() => void))[]): this {
    const [first, second] = args;
    const listener = args.find((one) => typeof one === "function");
    const options: BindOptions =
      typeof first === "object"
        ? first
        : { ...this.#portOf(first), ...(typeof second === "string" ? { address: second } : {}) };
    if (this.#socket !== undefined) throw new PosternError("NATLAB_PORT", "Bind a socket once.");
    if (listener !== undefined) this.once("listening", listener);
    this.#open(options);
    return this;
  }

  address(): NodeAddress {
    if (this.#socket === undefined) throw new PosternError("NATLAB_ADDRESS", "Bind the socket first.");
    return toNodeAddress(this.#socket.address);
  }

  /** `send(message, port, address, callback?)`, or with offset and length behind the message. Binds if need be. */
  send(message: Message, ...args: readonly (number | string | Sent | undefined)[]): void {
    if (this.#isClosed) throw new PosternError("NATLAB_ENDED", "Send before you close the socket.");
    const callback = args.find((one) => typeof one === "function");
    const numbers = args.filter((one) => typeof one === "number");
    const host = args.find((one) => typeof one === "string") ?? (this.type === "udp6" ? "::1" : "127.0.0.1");
    const [offset, length] = numbers.length === 3 ? numbers : [0, undefined];
    const bytes = bytesOf(message).subarray(offset, length === undefined ? undefined : (offset ?? 0) + length);
    const to = fromNodeAddress(host, numbers.at(-1) ?? 0);
    if (this.#socket === undefined) this.#open({});
    if (callback !== undefined) this.#soon(() => callback(null, bytes.length));
    this.#socket?.send(bytes, to);
  }

  close(callback?: () => void): this {
    if (callback !== undefined) this.once("close", callback);
    if (!this.#isClosed) this.#soon(() => this.emit("close"));
    this.#isClosed = true;
    this.#socket?.close();
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #portOf(port: unknown): BindOptions {
    return typeof port === "number" && port !== 0 ? { port } : {};
  }

  #open({ port, address }: BindOptions): void {
    const family = this.type === "udp6" ? 6 : 4;
    const own = this.#host.addresses.find((one) => one.family === family);
    const ip = isWildcard(address) ? own && toNodeAddress(own).address : address;
    try {
      this.#socket = this.#host.socket({ ...(ip === undefined ? {} : { address: ip }), ...this.#portOf(port) });
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      const code = error.code === "NATLAB_PORT" ? "EADDRINUSE" : "EADDRNOTAVAIL";
      this.#soon(() => this.emit("error", nodeError(code, "bind")));
      return;
    }
    this.#socket.onMessage = (data, from) => this.emit("message", data, { ...toNodeAddress(from), size: data.length });
    this.#soon(() => this.emit("listening"));
  }

  #soon(action: () => void): void {
    this.#world.at(this.#world.now, action);
  }
}

export interface NodeDgram {
  createSocket(
    options: "udp4" | "udp6" | { readonly type: "udp4" | "udp6" },
    onMessage?: (message: Uint8Array, remote: RemoteInfo) => void,
  ): DgramSocket;
}

/** What stands in for `node:dgram` in a program that runs on `host`. */
export function nodeDgram(world: World, host: Host): NodeDgram {
  return {
    createSocket: (options, onMessage) => {
      const socket = new DgramSocket(world, host, typeof options === "string" ? options : options.type);
      return onMessage === undefined ? socket : socket.on("message", onMessage);
    },
  };
}
