/**
 * Who may connect: connections are counted in total and per source, and those that are not settled yet, strangers as
 * far as we know, are counted apart. Refusing costs one reset and no state.
 */
import type { Address } from "../../core/base/address.ts";
import type { ConnectionLimits } from "./stream-limits.ts";
import type { CommonEnd, ConnectionStats, Refusal } from "./stream-stats.ts";

interface Source {
  open: number;
  halfOpen: number;
}

/** One IPv4 address, or one IPv6 /56, which is what one household gets. */
function sourceOf(a: Readonly<Address>): string {
  return a.family === 4 ? `${a.w3}` : `${a.w0}:${a.w1 >>> 8}`;
}

export class Admission<End extends string> {
  readonly #limits: ConnectionLimits;
  readonly #stats: ConnectionStats<End>;
  readonly #onEmpty: () => void;
  readonly #sources: Map<string, Source> = new Map();

  /** `onEmpty` is called when the last connection has left. */
  constructor(limits: ConnectionLimits, stats: ConnectionStats<End>, onEmpty: () => void) {
    this.#limits = limits;
    this.#stats = stats;
    this.#onEmpty = onEmpty;
  }

  /** Sources that are remembered: those that have a connection. */
  get sources(): number {
    return this.#sources.size;
  }

  /** Counts a connection in, half-open; undefined, and counted, when it must be refused. */
  admit(from: Readonly<Address>): Admitted<End> | undefined {
    const key = sourceOf(from);
    const source = this.#sources.get(key) ?? { open: 0, halfOpen: 0 };
    const refusal = this.#refusal(source);
    if (refusal !== undefined) {
      this.#stats.refused[refusal]++;
      return undefined;
    }
    this.#sources.set(key, source);
    this.#stats.accepted++;
    return new Admitted(source, this.#stats, () => this.#release(key, source));
  }

  /** Counts in a connection that we opened: no stranger's, and no source's. */
  enter(): Admitted<End> {
    const admitted = new Admitted({ open: 0, halfOpen: 0 }, this.#stats, () => this.#noteLeft());
    admitted.settle();
    return admitted;
  }

  #release(key: string, source: Source): void {
    if (source.open === 0) this.#sources.delete(key);
    this.#noteLeft();
  }

  #noteLeft(): void {
    if (this.#stats.open === 0) this.#onEmpty();
  }

  #refusal(source: Source): Refusal | undefined {
    const limits = this.#limits;
    if (this.#stats.open >= limits.connections) return "connections";
    if (source.open >= limits.connectionsPerSource) return "connections-per-source";
    if (this.#stats.halfOpen >= limits.halfOpen) return "half-open";
    if (source.halfOpen >= limits.halfOpenPerSource) return "half-open-per-source";
    return undefined;
  }
}

/** One connection's place. */
export class Admitted<End extends string> {
  readonly #source: Source;
  readonly #stats: ConnectionStats<End>;
  readonly #onLeave: () => void;
  #state: "half-open" | "open" | "left" = "half-open";

  constructor(source: Source, stats: ConnectionStats<End>, onLeave: () => void) {
    this.#source = source;
    this.#stats = stats;
    this.#onLeave = onLeave;
    source.open++;
    source.halfOpen++;
    stats.open++;
    stats.halfOpen++;
  }

  get isHalfOpen(): boolean {
    return this.#state === "half-open";
  }

  /** The connection belongs to somebody who has proven who it is. */
  settle(): void {
    if (this.#state !== "half-open") return;
    this.#state = "open";
    this.#source.halfOpen--;
    this.#stats.halfOpen--;
  }

  /** The connection is closed. */
  leave(end: CommonEnd | End): void {
    if (this.#state === "left") return;
    this.settle();
    this.#state = "left";
    this.#stats.open--;
    this.#stats.closed[end]++;
    this.#source.open--;
    this.#onLeave();
  }
}
