/** One connection to the server, over TCP or TLS, as it is or through an HTTP proxy. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { PosternError } from "../../core/base/failure.ts";
import { CHANNEL_HEADER_LENGTH, encodeChannelHeader } from "../../core/turn/channel-data.ts";
import { StreamFramer } from "../../core/turn/stream-framing.ts";
import { connectThrough, type HttpProxy } from "./http-proxy.ts";
import { mediaBacklog, type PathSink, type ServerPath } from "./server-path.ts";

const connectMs = 10_000;
/** A STUN message may have 65,535 bytes behind its header. */
const longestFrame = 65_535 + 20;

/** What may be said of TLS: the names are those of node:tls. */
export type TlsOptions = Pick<
  ConnectionOptions,
  "ca" | "cert" | "key" | "servername" | "rejectUnauthorized" | "ALPNProtocols" | "minVersion"
>;

export interface StreamTarget {
  /** An address, or for a proxy a name. */
  readonly host: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  /** Undefined: TCP as it is. */
  readonly tls: TlsOptions | undefined;
  /** Whose name the certificate must bear, unless `tls.servername` says otherwise. */
  readonly name: string;
  readonly proxy: HttpProxy | undefined;
}

export class StreamPath implements ServerPath {
  readonly #framer: StreamFramer = new StreamFramer(longestFrame);
  readonly #abandoned: AbortController = new AbortController();
  #sink: PathSink | undefined;
  #socket: Socket | undefined;
  #isConnected = false;

  constructor(target: StreamTarget, sink: PathSink) {
    this.#sink = sink;
    void this.#open(target).catch((error: Error) => this.#fail(error));
  }

  async #open(target: StreamTarget): Promise<void> {
    const signal = AbortSignal.any([this.#abandoned.signal, AbortSignal.timeout(connectMs)]);
    const through =
      target.proxy === undefined ? undefined : await connectThrough(target.proxy, target.host, target.port, signal);
    if (signal.aborted) through?.destroy();
    signal.throwIfAborted();
    const socket = target.tls === undefined ? (through ?? connectPlain(target)) : connectSecure(target, through);
    this.#socket = socket;
    signal.addEventListener("abort", () => {
      if (!this.#isConnected) socket.destroy(timedOut(target));
    });
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#handleChunk(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(undefined));
    if (through !== undefined && target.tls === undefined) this.#handleConnected();
    else socket.once(target.tls === undefined ? "connect" : "secureConnect", () => this.#handleConnected());
  }

  #handleConnected(): void {
    this.#isConnected = true;
    this.#sink?.handleConnected();
  }

  send(data: Uint8Array): boolean {
    const socket = this.#socket;
    if (!this.#isConnected || socket === undefined || !socket.writable) return false;
    socket.write(data);
    return true;
  }

  sendChannelData(channel: number, data: Uint8Array): boolean {
    if ((this.#socket?.writableLength ?? 0) > mediaBacklog) return false;
    const end = CHANNEL_HEADER_LENGTH + data.length;
    // RFC 8656 §12.5: over TCP and TLS a ChannelData message is padded to a multiple of four bytes.
    const frame = Buffer.allocUnsafe((end + 3) & ~3);
    encodeChannelHeader(frame, 0, channel, data.length);
    frame.set(data, CHANNEL_HEADER_LENGTH);
    frame.fill(0, end);
    return this.send(frame);
  }

  close(): void {
    this.#sink = undefined;
    this.#abandoned.abort();
    // What was sent last, a Refresh perhaps, still leaves.
    this.#socket?.destroySoon();
  }

  #handleChunk(chunk: Uint8Array): void {
    const framer = this.#framer;
    framer.push(chunk);
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) this.#sink?.handleMessage(frame);
    if (framer.failure === undefined) return;
    this.#fail(new PosternError("not-turn", "What answers at the server's address does not speak TURN."));
  }

  #fail(cause: Error | undefined): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#socket?.destroy();
    sink?.handleDisconnected(cause);
  }
}

function timedOut({ host, port }: StreamTarget): PosternError {
  return new PosternError("connect-timed-out", `${host}:${port} did not accept the connection within 10 s.`);
}

function connectPlain({ host, port, localAddress }: StreamTarget): Socket {
  return connectTcp({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
}

function connectSecure(target: StreamTarget, through: Socket | undefined): Socket {
  const { host, port, localAddress, tls, name } = target;
  const where = through === undefined ? { host, port, ...(localAddress === undefined ? {} : { localAddress }) } : {};
  // RFC 8656 §3.1, RFC 8489 §6.2.3: the certificate is checked against the name that the user gave, whatever SRV said.
  const identity = isIP(name) === 0 ? { servername: name } : { host: name };
  return connectTls({ ...where, ...identity, ...(through === undefined ? {} : { socket: through }), ...tls });
}
