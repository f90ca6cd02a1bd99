/**
 * A path that is watched: a thin, even stream of probes that never ends, over a carrier that is kept (a socket, a
 * connection, a pair of allocations). When nothing comes back a second carrier is tried beside the first: a short
 * outage leaves the first alive, and a server that was restarted knows only the second.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Address } from "../core/base/address.ts";
import type { Instant } from "../core/base/machine.ts";
import { Outages } from "../core/media/outages.ts";
import type { EchoFigures } from "../core/media/probe-stream.ts";
import { monotonicNow } from "./clock.ts";
import { type ProbePath, ProbeRun } from "./probe-run.ts";

export interface Carrier extends ProbePath {
  /** What we look like from the server. */
  readonly mapped: Readonly<Address> | undefined;
  /** Resolves when it carries nothing any more. */
  readonly ended: Promise<unknown>;
  close(): unknown;
}

/** Opens a carrier, or says why there is none. */
export type OpenCarrier<Failure> = (signal: AbortSignal) => Promise<Carrier | { readonly failure: Failure }>;

const schedule = { packets: Number.POSITIVE_INFINITY, interval: 500, patience: 2_000 };
/** Lost in a row on this carrier before another is tried. */
const lostBeforeDoubt = 3;
const retryMs = 2_000;
/** For the first carrier to come back by itself, once a second one works. */
const graceMs = 1_000;

export class WatchedPath<Failure> {
  readonly outages: Outages = new Outages();
  /** Why there is no carrier; undefined: there is one. */
  failure: Failure | undefined;
  /** How many carriers there have been. */
  carriers = 0;
  readonly #open: OpenCarrier<Failure>;
  readonly #run: ProbeRun;
  readonly #stopping = new AbortController();
  /** Resolves when it is stopped; rejects with what `open` rejects with, which no further try would mend. */
  readonly ended: Promise<void>;
  #carrier: Carrier | undefined;
  /** When something was back last, or the carrier began. */
  #aliveAt = 0;
  /** In a row since then. */
  #lost = 0;
  #wake: () => void = () => {};

  constructor(open: OpenCarrier<Failure>) {
    this.#open = open;
    this.#run = new ProbeRun(schedule, {
      onSettled: (sentAt, roundTrip) => this.#handleSettled(sentAt, roundTrip),
      onBack: () => this.#handleBack(),
    });
    this.ended = this.#keep();
    this.ended.catch(() => this.#run.stop());
  }

  /** What we look like from the server, as it said last. */
  get mapped(): Readonly<Address> | undefined {
    return this.#carrier?.mapped;
  }

  /** The figures since the last call. */
  take(): EchoFigures {
    return this.#run.take();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#run.stop();
    this.#wake();
    await this.ended.catch(() => {});
    await this.#carrier?.close();
  }

  #handleSettled(sentAt: Instant, roundTrip: number | undefined): void {
    this.outages.handleSettled(sentAt, roundTrip);
    if (roundTrip === undefined && sentAt >= this.#aliveAt && ++this.#lost >= lostBeforeDoubt) this.#wake();
  }

  #handleBack(): void {
    this.#aliveAt = monotonicNow();
    this.#lost = 0;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    let isStarted = false;
    while (!signal.aborted) {
      await this.#replace(signal);
      if (!isStarted) this.#run.start();
      isStarted = true;
      if (this.#carrier === undefined || this.#lost >= lostBeforeDoubt)
        await pause(retryMs, undefined, { signal }).catch(() => {});
      else await this.#doubt(signal);
    }
  }

  async #replace(signal: AbortSignal): Promise<void> {
    const found = await this.#open(signal).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
    if (found === undefined) return;
    if ("failure" in found) {
      if (this.#carrier === undefined) this.failure = found.failure;
      return;
    }
    const before = this.#aliveAt;
    if (this.#carrier !== undefined) await pause(graceMs, undefined, { signal }).catch(() => {});
    const isBack = this.#carrier !== undefined && this.#aliveAt > before;
    const useless = isBack || signal.aborted ? found : this.#carrier;
    if (useless !== found) this.#follow(found);
    // It may take seconds where the server is silent, and nobody waits for it.
    void useless?.close();
  }

  #follow(carrier: Carrier): void {
    this.#carrier = carrier;
    this.carriers++;
    this.failure = undefined;
    this.#handleBack();
    this.#run.follow(carrier);
    void carrier.ended.then(() => {
      if (this.#carrier !== carrier) return;
      this.#carrier = undefined;
      this.#run.follow(undefined);
      this.#wake();
    });
  }

  /** Resolves when the carrier has ended, or nothing has come back for a while, or all is over. */
  async #doubt(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    if (!signal.aborted) await promise;
  }
}
