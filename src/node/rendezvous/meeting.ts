/**
 * Two machines meet inside a TURN server that both have credentials for. The first waits at a relayed address, which its
 * code names; the second sends there through a relay of its own. No server but TURN is needed, and that one learns nothing:
 * what passes it is sealed with the code's secret.
 */
import { randomBytes } from "node:crypto";
import { type Address, formatIp, sameIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { formatCode, type RendezvousCode, SECRET_BYTES } from "../../core/rendezvous/code.ts";
import type { TurnAllocationOptions } from "../turn-client/options.ts";
import { TurnAllocation } from "../turn-client/turn-allocation.ts";
import { Seal } from "./seal.ts";
import { SealedExchange } from "./sealed-exchange.ts";

export type MeetingOptions = Omit<TurnAllocationOptions, "onData" | "onEvent" | "families" | "reallocation">;

export class Meeting implements AsyncDisposable {
  /** What the user takes to the other machine. */
  readonly code: string;
  readonly #allocation: TurnAllocation;
  readonly #seal: Seal;
  /** Where the first machine is; undefined: here. */
  readonly #first: Readonly<Address> | undefined;
  #exchange: SealedExchange | undefined;

  /**
   * Opens a relayed address to wait at; or to go to another from, which `code` names. Rejects with `PosternError`: those of
   * `TurnAllocation.open`, `other-server`, `no-relay-to-relay`; or with the signal's reason.
   */
  static async open(options: MeetingOptions, code?: RendezvousCode): Promise<Meeting> {
    const allocation = await allocate(options, code?.address.family);
    try {
      const own = allocation.relayed[0] as Readonly<Address>;
      if (code !== undefined && !sameIp(own, code.address)) throw otherServer(options.url, own, code.address);
      // Both relayed addresses are the server's own: nobody is let in but its other clients.
      await allocation.permit(own).catch((cause: Error) => {
        const why = `${options.url} does not relay from one of its clients to another. ${cause.message}`;
        throw new PosternError("no-relay-to-relay", `${why} Use --paste instead.`, { cause });
      });
      return new Meeting(allocation, code);
    } catch (error) {
      await allocation.close();
      throw error;
    }
  }

  private constructor(allocation: TurnAllocation, code: RendezvousCode | undefined) {
    this.#allocation = allocation;
    this.#first = code?.address;
    const shared = code ?? { address: allocation.relayed[0] as Readonly<Address>, secret: randomBytes(SECRET_BYTES) };
    this.code = formatCode(shared);
    this.#seal = new Seal(shared.secret, code === undefined ? "first" : "second");
  }

  /**
   * Tells the other machine `text`, and resolves with its. Repetitions are answered until `close`. Rejects with
   * `PosternError` `peer-taken`, `relay-lost`; or with the signal's reason.
   */
  async exchange(text: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const exchange = new SealedExchange(text, this.#seal, (to, data) => this.#allocation.send(to, data));
    this.#exchange = exchange;
    this.#allocation.onData = (data, from) => exchange.handleDatagram(data, from);
    if (this.#first !== undefined) exchange.open(this.#first);
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      return await Promise.race([exchange.text, aborted.promise, this.#lost()]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Waits until the other machine has our text, but no longer than the signal. */
  async settle(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await Promise.race([this.#exchange?.done, aborted]);
  }

  async #lost(): Promise<never> {
    const { why } = await this.#allocation.closed;
    throw new PosternError("relay-lost", `The server has ended the relayed address that the code names. ${why}`);
  }

  async close(): Promise<void> {
    this.#exchange?.stop();
    await this.#allocation.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** RFC 8656 §7.2: an IPv4 address unless asked otherwise; where the server has none, an IPv6 address. */
async function allocate(options: MeetingOptions, family: Address["family"] | undefined): Promise<TurnAllocation> {
  const once = { ...options, reallocation: { attempts: 0 } };
  const open = (families: "ipv4" | "ipv6") => TurnAllocation.open({ ...once, families });
  if (family !== undefined) return open(family === 4 ? "ipv4" : "ipv6");
  return open("ipv4").catch((error: unknown) => {
    if (error instanceof PosternError && error.code === "family-not-supported") return open("ipv6");
    throw error;
  });
}

function otherServer(url: string, own: Readonly<Address>, named: Readonly<Address>): PosternError {
  return new PosternError(
    "other-server",
    `This code is for another server: it names ${formatIp(named)}, and ${url} relays at ${formatIp(own)}.`,
  );
}
