/** A UDP socket toward one STUN server, asked again and again: what it costs in time, and what we look like from there. */
import { createSocket, type Socket } from "node:dgram";
import { type Address, formatIp } from "../core/base/address.ts";
import { BindingProbes } from "../core/stun/binding-probes.ts";
import { PooledRandom } from "./random.ts";
import type { Carrier } from "./watched-path.ts";

/** Above what a stream of probes counts to. */
const firstSequence = 0xffff0000;
const tries = 6;
const resendMs = 500;

export class BindingSocket implements Carrier, Disposable {
  onBack: (sequence: number) => void = () => {};
  /** Our address as the server saw it last. */
  mapped: Readonly<Address> | undefined;
  /** A socket has no end of its own. */
  readonly ended: Promise<never> = new Promise(() => {});
  readonly #probes = new BindingProbes(new PooledRandom());
  readonly #socket: Socket;
  #isConnected = false;

  /** Where there is no route, all that is sent is lost. */
  static open(server: Readonly<Address>): Promise<BindingSocket> {
    const { promise, resolve } = Promise.withResolvers<BindingSocket>();
    const socket = createSocket(server.family === 4 ? "udp4" : "udp6");
    const opened = new BindingSocket(socket);
    // Where there is no route, Node tells the callback.
    socket.connect(server.port, formatIp(server), (error?: Error) => {
      opened.#isConnected = error === undefined;
      resolve(opened);
    });
    return promise;
  }

  /** One that has been answered; undefined when nobody answers within three seconds, or before the signal. */
  static async openAnswered(server: Readonly<Address>, signal: AbortSignal): Promise<BindingSocket | undefined> {
    const socket = await BindingSocket.open(server);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const giveUp = (): void => resolve(false);
    signal.addEventListener("abort", giveUp);
    socket.onBack = () => resolve(true);
    let sent = 0;
    const ask = (): unknown => (sent++ < tries ? socket.send(firstSequence + sent) : giveUp());
    const timer = setInterval(ask, resendMs);
    ask();
    const isAnswered = !signal.aborted && (await promise);
    clearInterval(timer);
    signal.removeEventListener("abort", giveUp);
    if (!isAnswered) socket.close();
    return isAnswered ? socket : undefined;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (data) => this.#handleMessage(data));
    // That nobody is there is silence, and is seen as such.
    socket.on("error", () => {});
  }

  send(sequence: number): boolean {
    if (this.#isConnected) this.#socket.send(this.#probes.request(sequence));
    return this.#isConnected;
  }

  #handleMessage(data: Uint8Array): void {
    const answer = this.#probes.read(data);
    if (answer === undefined) return;
    this.mapped = answer.mapped ?? this.mapped;
    this.onBack(answer.sequence);
  }

  close(): void {
    this.#isConnected = false;
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
