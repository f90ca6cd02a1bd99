/**
 * Two allocations on one TURN server, with a channel from each to the other: what one sends arrives at the other, through
 * the relay. So a path through a relay is tried from one host, without a peer elsewhere.
 */
import { randomBytes } from "node:crypto";
import { PosternError } from "../core/base/failure.ts";
import { decodeVoicePacket, encodeVoicePacket } from "../core/media/voice-packet.ts";
import type { Allocated } from "../core/turn/client/outputs.ts";
import type { TurnAllocationOptions } from "./turn-client/options.ts";
import { TurnAllocation } from "./turn-client/turn-allocation.ts";
import type { Carrier } from "./watched-path.ts";

/** Why there is no pair: nothing was allocated, or the server relays, but not from one of these two to the other. */
export interface PairFailure {
  readonly stage: "allocate" | "bind";
  /** A `FailureReason`, or another code of `PosternError`. */
  readonly reason: string;
  /** What the system or the proxy said, where that was the reason. */
  readonly detail: string | undefined;
}

export interface RelayPairOptions extends Omit<TurnAllocationOptions, "onData" | "onEvent" | "families" | "signal"> {
  readonly signal?: AbortSignal;
  /** Milliseconds for all that opening takes. */
  readonly patience: number;
}

export class RelayPair implements Carrier, AsyncDisposable {
  /** Of the allocation that sends first. */
  readonly allocated: Allocated;
  /** What arrives at the far allocation, before it is sent back, and what is back. */
  onTurned: (sequence: number) => void = () => {};
  onBack: (sequence: number) => void = () => {};
  readonly #near: TurnAllocation;
  readonly #far: TurnAllocation;
  /** Whose packets they are, so that those of an earlier pair are not taken for these. */
  readonly #source = randomBytes(4).readUInt32BE();
  /** The number of the latest packet. */
  #last = 0;

  /** Rejects with the signal's reason, and with `PosternError` for mistakes of the caller's. */
  static async open(options: RelayPairOptions): Promise<RelayPair | PairFailure> {
    const { signal, patience, ...rest } = options;
    const late = AbortSignal.timeout(patience);
    const open = { ...rest, reallocation: { attempts: 0 }, signal: signal ? AbortSignal.any([signal, late]) : late };
    const near = await allocate(open);
    if ("stage" in near) return endedBy(signal, near);
    const far = await allocate(open);
    if ("stage" in far) {
      await near.close();
      return endedBy(signal, far);
    }
    const pair = new RelayPair(near, far);
    const failure = await pair.#meet(open.signal);
    if (failure === undefined) return pair;
    await pair.close();
    return endedBy(signal, failure);
  }

  private constructor(near: TurnAllocation, far: TurnAllocation) {
    this.allocated = near.allocated;
    this.#near = near;
    this.#far = far;
    far.onData = (data, peer) => {
      const sequence = decodeVoicePacket(this.#source, data, this.#last);
      if (sequence === undefined) return;
      this.onTurned(sequence);
      far.send(peer, data);
    };
    near.onData = (data) => {
      const sequence = decodeVoicePacket(this.#source, data, this.#last);
      if (sequence !== undefined) this.onBack(sequence);
    };
  }

  async #meet(signal: AbortSignal): Promise<PairFailure | undefined> {
    const [toFar, toNear] = [this.#far.relayed[0], this.#near.relayed[0]];
    if (toFar === undefined || toNear === undefined)
      return { stage: "bind", reason: "bad-response", detail: undefined };
    // A bind that is waited for ends with its allocation.
    const abandon = (): void => void this.close();
    signal.addEventListener("abort", abandon);
    try {
      await Promise.all([this.#near.bind(toFar), this.#far.bind(toNear)]);
      return undefined;
    } catch (error) {
      return signal.aborted ? { stage: "bind", reason: "timed-out", detail: undefined } : failed("bind", error);
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  /** False: it was dropped here. */
  send(sequence: number): boolean {
    this.#last = sequence;
    return this.#near.send(this.#far.relayed[0] as Allocated["mapped"], encodeVoicePacket(this.#source, sequence));
  }

  get mapped(): Allocated["mapped"] {
    return this.allocated.mapped;
  }

  /** Resolves when either allocation has ended. */
  get ended(): Promise<unknown> {
    return Promise.race([this.#near.closed, this.#far.closed]);
  }

  /** Ends both on the server. */
  async close(): Promise<void> {
    await Promise.all([this.#near.close(), this.#far.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** RFC 8656 §7.2: an IPv4 address unless asked otherwise; where the server has none, an IPv6 address. */
async function allocate(options: TurnAllocationOptions): Promise<TurnAllocation | PairFailure> {
  const first = await TurnAllocation.open(options).catch((error: unknown) => failed("allocate", error));
  if (!("stage" in first) || first.reason !== "family-not-supported") return first;
  return TurnAllocation.open({ ...options, families: "ipv6" }).catch((error: unknown) => failed("allocate", error));
}

const mistakes = ["bad-uri", "bad-credentials", "bad-proxy", "transport-not-supported"];

function failed(stage: PairFailure["stage"], error: unknown): PairFailure {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return { stage, reason: "timed-out", detail: undefined };
  }
  if (!(error instanceof PosternError) || mistakes.includes(error.code)) throw error;
  return { stage, reason: error.code, detail: error.cause instanceof Error ? error.cause.message : undefined };
}

function endedBy(signal: AbortSignal | undefined, failure: PairFailure): PairFailure {
  signal?.throwIfAborted();
  return failure;
}
