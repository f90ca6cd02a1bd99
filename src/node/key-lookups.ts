/**
 * Users' keys, asked for elsewhere and answered once. A lookup that fails, or takes too long, counts as "no such user":
 * the machine bounds how many are outstanding, so none may stay for ever.
 */
import { FailureLog } from "./failure-log.ts";
import type { Log } from "./log.ts";

/** `signal` fires when nobody waits for the answer any longer. */
type Find<Keys> = (signal: AbortSignal) => Promise<Keys | undefined>;

const patienceMs = 5_000;

export class KeyLookups<Query, Keys> {
  readonly #answer: (query: Query, keys: Keys | undefined) => void;
  readonly #failures: FailureLog;
  readonly #closing = new AbortController();

  constructor(answer: (query: Query, keys: Keys | undefined) => void, log: Log) {
    this.#answer = answer;
    this.#failures = new FailureLog(log, "user-lookup-failed");
  }

  start(query: Query, find: Find<Keys>): void {
    void this.#run(find).then((keys) => {
      if (!this.#closing.signal.aborted) this.#answer(query, keys);
    });
  }

  /** Gives up what is outstanding; nothing is answered any more. */
  close(): void {
    this.#closing.abort();
  }

  async #run(find: Find<Keys>): Promise<Keys | undefined> {
    const given = new AbortController();
    const giveUp = (): void => given.abort();
    const timer = setTimeout(giveUp, patienceMs).unref();
    this.#closing.signal.addEventListener("abort", giveUp);
    try {
      return await Promise.race([find(given.signal), aborted(given.signal)]);
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#failures.report(error);
      return undefined;
    } finally {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener("abort", giveUp);
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
