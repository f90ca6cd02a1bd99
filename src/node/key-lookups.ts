/**
 * Users' keys, asked for elsewhere and answered once. A lookup that fails, or takes too long, counts as "no such user":
 * the machine bounds how many are outstanding, so none may stay for ever. What is found at once, as in an embedded
 * database, is answered at once, and costs no promise and no timer.
 */
import { FailureLog } from "./failure-log.ts";
import type { Log } from "./log.ts";

/** `signal` fires when nobody waits for the answer any longer. */
type Find<Keys> = (signal: AbortSignal) => Promise<Keys | undefined> | Keys | undefined;

const patienceMs = 5_000;

export class KeyLookups<Query, Keys extends object> {
  readonly #answer: (query: Query, keys: Keys | undefined) => void;
  readonly #failures: FailureLog;
  readonly #outstanding: Set<AbortController> = new Set();
  /** For the next lookup: what was answered at once has left it unused. */
  #spare: AbortController | undefined;
  #isClosed = false;

  constructor(answer: (query: Query, keys: Keys | undefined) => void, log: Log) {
    this.#answer = answer;
    this.#failures = new FailureLog(log, "user-lookup-failed");
  }

  start(query: Query, find: Find<Keys>): void {
    if (this.#isClosed) return;
    const given = this.#spare ?? new AbortController();
    this.#spare = undefined;
    let found: ReturnType<typeof find>;
    try {
      found = find(given.signal);
    } catch (error) {
      this.#failures.report(error);
    }
    if (found instanceof Promise) this.#wait(query, found, given);
    else {
      this.#spare = given;
      this.#answer(query, found);
    }
  }

  /** Gives up what is outstanding; nothing is answered any more. */
  close(): void {
    this.#isClosed = true;
    for (const given of this.#outstanding) given.abort();
    this.#outstanding.clear();
  }

  #wait(query: Query, found: Promise<Keys | undefined>, given: AbortController): void {
    const end = (keys: Keys | undefined): void => {
      clearTimeout(timer);
      // Nobody waits for what comes later than that.
      if (this.#outstanding.delete(given)) this.#answer(query, keys);
    };
    const fail = (error: unknown): void => {
      if (this.#outstanding.has(given)) this.#failures.report(error);
      end(undefined);
    };
    const timer = setTimeout(() => {
      given.abort();
      fail(given.signal.reason);
    }, patienceMs).unref();
    this.#outstanding.add(given);
    found.then(end, fail);
  }
}
