/**
 * A stream in the shape of `node:net`'s Socket, as far as programs use it, over TCP or over TLS. As with Node it ends its
 * own side when the far side ends, unless `allowHalfOpen` is set. What arrives is a Uint8Array, no Buffer.
 */
import { PosternError } from "../../core/base/failure.ts";
import { after } from "../../core/base/machine.ts";
import { encodeUtf8 } from "../../core/base/utf8.ts";
import type { Appointment } from "../agenda.ts";
import type { ByteStream, CloseReason } from "../tcp/byte-stream.ts";
import type { World } from "../world.ts";
import { Emitter } from "./emitter.ts";
import { type NodeAddress, type NodeError, nodeError, toNodeAddress } from "./node-address.ts";

interface SocketEvents {
  connect: [];
  ready: [];
  /** Of TLS alone. */
  secureConnect: [];
  data: [data: Uint8Array];
  drain: [];
  end: [];
  timeout: [];
  error: [error: NodeError];
  close: [hadError: boolean];
}

const codes: Readonly<Partial<Record<CloseReason, readonly [code: string, syscall: string]>>> = {
  refused: ["ECONNREFUSED", "connect"],
  reset: ["ECONNRESET", "read"],
  "timed-out": ["ETIMEDOUT", "connect"],
  "not-tls": ["EPROTO", "read"],
};

export interface NetSocketOptions {
  readonly allowHalfOpen?: boolean;
}

export class NetSocket extends Emitter<SocketEvents> {
  readonly #world: World;
  readonly #allowHalfOpen: boolean;
  #stream: ByteStream | undefined;
  #remote: NodeAddress | undefined;
  /** Milliseconds; 0: no matter how long. */
  #patience = 0;
  #idle: Appointment | undefined;
  #error: NodeError | undefined;
  connecting = true;
  destroyed = false;
  /** Bytes. */
  bytesRead = 0;
  bytesWritten = 0;

  constructor(world: World, { allowHalfOpen = false }: NetSocketOptions = {}) {
    super();
    this.#world = world;
    this.#allowHalfOpen = allowHalfOpen;
  }

  /** Takes over `stream`, with all its handlers; `isOpen` for one that a listener took. */
  adopt(stream: ByteStream, isOpen: boolean, tls = false): this {
    this.#stream = stream;
    this.#remote = toNodeAddress(stream.remoteAddress);
    this.connecting = !isOpen;
    stream.onOpen = () => {
      this.#handleOpen();
      if (tls) this.emit("secureConnect");
    };
    stream.onData = (data) => this.#handleData(data);
    stream.onDrain = () => this.emit("drain");
    stream.onEnd = () => this.#handleEnd();
    stream.onClose = (reason) => this.#handleClose(reason);
    return this;
  }

  /** It could not even begin to connect. */
  fail(error: NodeError): this {
    this.#error = error;
    this.#handleClose("aborted");
    return this;
  }

  get remoteAddress(): string | undefined {
    return this.#remote?.address;
  }

  get remotePort(): number | undefined {
    return this.#remote?.port;
  }

  get remoteFamily(): NodeAddress["family"] | undefined {
    return this.#remote?.family;
  }

  get localAddress(): string | undefined {
    return this.#stream && toNodeAddress(this.#stream.localAddress).address;
  }

  get localPort(): number | undefined {
    return this.#stream?.localAddress.port;
  }

  /** False: wait for `drain`. `callback` is called when the bytes are on their way. */
  write(data: Uint8Array | string, callback?: () => void): boolean {
    const bytes = typeof data === "string" ? encodeUtf8(data) : data;
    // Who could not connect learns it from the error.
    if (this.#stream === undefined && this.#error !== undefined) return false;
    if (this.#stream === undefined) throw new PosternError("NATLAB_ENDED", "Connect the socket before you write.");
    this.bytesWritten += bytes.length;
    this.#touch();
    if (callback !== undefined) this.#soon(callback);
    return this.#stream.write(bytes);
  }

  end(data?: Uint8Array | string, callback?: () => void): this {
    if (data !== undefined) this.write(data);
    if (callback !== undefined) this.#soon(callback);
    this.#stream?.end();
    return this;
  }

  /** Ends it at once, by a RST; with `error`, that is what is told. */
  destroy(error?: NodeError): this {
    this.#error ??= error;
    this.destroyed = true;
    this.#stream?.reset();
    return this;
  }

  pause(): this {
    this.#stream?.pause();
    return this;
  }

  resume(): this {
    this.#stream?.resume();
    return this;
  }

  /** Emits `timeout` once whenever nothing was read or written for `ms`; 0: never. The connection stays. */
  setTimeout(ms: number, callback?: () => void): this {
    if (callback !== undefined && ms > 0) this.once("timeout", callback);
    else if (callback !== undefined) this.off("timeout", callback);
    this.#patience = ms;
    this.#touch();
    return this;
  }

  /** Small segments never wait here. */
  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #handleOpen(): void {
    this.connecting = false;
    this.#touch();
    this.emit("connect");
    this.emit("ready");
  }

  #handleData(data: Uint8Array): void {
    this.bytesRead += data.length;
    this.#touch();
    this.emit("data", data);
  }

  #handleEnd(): void {
    this.emit("end");
    if (!this.#allowHalfOpen) this.#stream?.end();
  }

  #handleClose(reason: CloseReason): void {
    this.connecting = false;
    this.destroyed = true;
    this.setTimeout(0);
    const own = codes[reason];
    const error = this.#error ?? (own && nodeError(...own));
    this.#soon(() => {
      if (error !== undefined) this.emit("error", error);
      this.emit("close", error !== undefined);
    });
  }

  #touch(): void {
    this.#idle?.cancel();
    if (!(this.#patience > 0)) return;
    this.#idle = this.#world.at(after(this.#world.now, this.#patience), () => this.emit("timeout"));
  }

  #soon(action: () => void): void {
    this.#world.at(this.#world.now, action);
  }
}
