/**
 * What the names of trunks stand for, looked up at the start and again before the DNS's answer is too old, so that no call
 * waits for it. While the DNS fails, or says that there is nothing, the last good answer stays.
 */
import { formatAddress } from "../../core/base/address.ts";
import type { ServerEndpoint } from "../../core/base/resolution.ts";
import type { Trunk, TrunkName } from "../../core/edge/config.ts";
import { resolveSip } from "../../core/sip/resolve/resolve-sip.ts";
import type { Log } from "../log.ts";
import { PooledRandom } from "../random.ts";
import { type Lookup, lookUp } from "./name-lookup.ts";

/** In the order in which they are tried where the DNS has no wish. */
const transports = ["udp", "tcp", "tls"] as const;

/** Milliseconds. A name whose answers live shorter is asked for as often as this. */
export interface LookupPace {
  readonly shortest: number;
  readonly retry: number;
}

export const defaultLookupPace: LookupPace = { shortest: 15_000, retry: 5_000 };

export interface TrunkNamesOptions {
  readonly trunks: readonly Trunk[];
  readonly onResolved: (name: string, endpoints: readonly ServerEndpoint[]) => void;
  readonly log: Log;
  /** Instead of the system's, as `192.0.2.1:53`. */
  readonly servers?: readonly string[];
  readonly pace?: LookupPace;
}

export class TrunkNames {
  readonly #options: TrunkNamesOptions;
  readonly #pace: LookupPace;
  readonly #random: PooledRandom = new PooledRandom();
  readonly #timers: Map<string, NodeJS.Timeout> = new Map();
  readonly #abort: AbortController = new AbortController();
  /** What was told last, as text, and whether that was all. */
  readonly #known: Map<string, { readonly text: string; readonly isWhole: boolean }> = new Map();
  readonly #failing: Set<string> = new Set();

  constructor(options: TrunkNamesOptions) {
    this.#options = options;
    this.#pace = options.pace ?? defaultLookupPace;
    for (const { name, target } of options.trunks) {
      if (target !== undefined && "uri" in target) void this.#follow(name, target);
    }
  }

  close(): void {
    this.#abort.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  async #follow(name: string, target: TrunkName): Promise<void> {
    const { signal } = this.#abort;
    const resolution = resolveSip(target.uri, transports, this.#random);
    const found = await lookUp(resolution, signal, this.#options.servers).catch(() => undefined);
    if (signal.aborted) return;
    // Half of an answer is better than none, and worse than the last whole one.
    const isBetter = found?.hasFailed === false || this.#known.get(name)?.isWhole !== true;
    const isUsed = found !== undefined && found.endpoints.length > 0 && isBetter;
    if (isUsed) this.#tell(name, found);
    this.#noteHealth(name, isUsed && !found.hasFailed);
    const wait = isUsed ? Math.max(this.#pace.shortest, found.lifetime * 1000) : this.#pace.retry;
    this.#timers.set(name, setTimeout(() => void this.#follow(name, target), wait).unref());
  }

  #noteHealth(name: string, isWell: boolean): void {
    if (isWell) this.#failing.delete(name);
    else if (!this.#failing.has(name)) {
      this.#failing.add(name);
      this.#options.log.warn({ trunk: name, isKnown: this.#known.has(name) }, "trunk-name-failed");
    }
  }

  #tell(name: string, { endpoints, hasFailed }: Lookup): void {
    const text = endpoints.map(({ transport, address }) => `${transport} ${formatAddress(address)}`).join(", ");
    // The order among equals is drawn anew each time, and is no news.
    const isNews = sorted(text) !== sorted(this.#known.get(name)?.text ?? "");
    if (isNews) this.#options.log.info({ trunk: name, servers: endpoints.length }, "trunk-name-resolved");
    if (isNews) this.#options.log.debug({ trunk: name, servers: text }, "trunk-servers");
    this.#known.set(name, { text, isWhole: !hasFailed });
    this.#options.onResolved(name, endpoints);
  }
}

function sorted(text: string): string {
  return text.split(", ").sort().join();
}
