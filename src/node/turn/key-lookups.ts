/**
 * Users' keys, asked for elsewhere and answered once. A lookup that fails, or takes too long, counts as "no such user":
 * the machine bounds how many are outstanding, so none may stay for ever.
 */
import type { KeyQueryId, UserKeys, UserQuery } from "../../core/turn/server/outputs.ts";
import { FailureLog } from "../failure-log.ts";
import type { Log } from "../log.ts";

export type FindKeys = (user: UserQuery, realm: string, signal: AbortSignal) => Promise<UserKeys | undefined>;

const patienceMs = 5_000;

export class KeyLookups {
  readonly #find: FindKeys;
  readonly #answer: (query: KeyQueryId, keys: UserKeys | undefined) => void;
  readonly #failures: FailureLog;
  readonly #closing = new AbortController();

  constructor(find: FindKeys, answer: (query: KeyQueryId, keys: UserKeys | undefined) => void, log: Log) {
    this.#find = find;
    this.#answer = answer;
    this.#failures = new FailureLog(log, "user-lookup-failed");
  }

  start(query: KeyQueryId, user: UserQuery, realm: string): void {
    void this.#run(user, realm).then((keys) => {
      if (!this.#closing.signal.aborted) this.#answer(query, keys);
    });
  }

  /** Gives up what is outstanding; nothing is answered any more. */
  close(): void {
    this.#closing.abort();
  }

  async #run(user: UserQuery, realm: string): Promise<UserKeys | undefined> {
    const given = new AbortController();
    const giveUp = (): void => given.abort();
    const timer = setTimeout(giveUp, patienceMs).unref();
    this.#closing.signal.addEventListener("abort", giveUp);
    try {
      return await Promise.race([this.#find(user, realm, given.signal), aborted(given.signal)]);
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
