/** A TCP or TLS connection to one STUN server, asked again and again. */
import type { Address } from "../core/base/address.ts";
import { BindingProbes } from "../core/stun/binding-probes.ts";
import { StreamFramer } from "../core/turn/stream-framing.ts";
import { PooledRandom } from "./random.ts";
import { type OpeningStream, openStream } from "./reach.ts";
import type { HttpProxy } from "./turn-client/http-proxy.ts";
import type { Carrier } from "./watched-path.ts";

const longestFrame = 4_096;

export class BindingStream implements Carrier {
  onBack: (sequence: number) => void = () => {};
  mapped: Readonly<Address> | undefined;
  readonly ended: Promise<void>;
  readonly #probes = new BindingProbes(new PooledRandom());
  readonly #stream: OpeningStream;

  /** Resolves undefined when there is no connection. */
  static async open(
    transport: "tcp" | "tls",
    address: Readonly<Address>,
    name: string,
    signal: AbortSignal,
    proxy: HttpProxy | undefined,
  ): Promise<BindingStream | undefined> {
    const stream = await openStream(transport, address, name, signal, proxy);
    if (stream === undefined) return undefined;
    const opened = new BindingStream(stream);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const giveUp = (): void => resolve(false);
    signal.addEventListener("abort", giveUp);
    void opened.ended.then(giveUp);
    if (stream.opens === undefined) resolve(true);
    else stream.socket.once(stream.opens, () => resolve(true));
    const isOpen = await promise;
    signal.removeEventListener("abort", giveUp);
    if (!isOpen) stream.socket.destroy();
    return isOpen ? opened : undefined;
  }

  private constructor(stream: OpeningStream) {
    this.#stream = stream;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    const framer = new StreamFramer(longestFrame);
    stream.socket.on("error", () => {}).once("close", () => resolve());
    stream.socket.on("data", (chunk: Uint8Array) => {
      framer.push(chunk);
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) this.#handleMessage(frame);
      if (framer.failure !== undefined) stream.socket.destroy();
    });
  }

  send(sequence: number): boolean {
    return this.#stream.socket.write(this.#probes.request(sequence));
  }

  #handleMessage(frame: Uint8Array): void {
    const answer = this.#probes.read(frame);
    if (answer === undefined) return;
    this.mapped = answer.mapped;
    this.onBack(answer.sequence);
  }

  close(): void {
    this.#stream.socket.destroy();
  }
}
