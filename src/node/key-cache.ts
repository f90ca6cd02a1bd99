/**
 * Keys of users that were asked for a moment ago: clients come more than once, and users with more than one. Who is
 * removed, or has a new password, is forgotten as soon as that is heard, and what was asked before is not kept then; who is
 * not known is asked for again.
 */
import type { UserKeys, UserQuery } from "../core/turn/server/outputs.ts";
import { monotonicNow } from "./clock.ts";
import type { FindKeys } from "./turn-service.ts";

const usualFreshMs = 10_000;
const mostKnown = 1_024;

interface Known {
  readonly keys: UserKeys;
  readonly until: number;
}

export class KeyCache {
  readonly #ask: FindKeys;
  readonly #freshMs: number;
  readonly #known: Map<string, Known> = new Map();
  /** Users that were forgotten. */
  #removals = 0;

  /** What is asked is always about the same realm. `freshMs`: how long an answer is good for, unless it is forgotten. */
  constructor(ask: FindKeys, freshMs: number = usualFreshMs) {
    this.#ask = ask;
    this.#freshMs = freshMs;
  }

  find(user: UserQuery, realm: string, signal: AbortSignal): ReturnType<FindKeys> {
    if (!("username" in user)) return this.#ask(user, realm, signal);
    const { username } = user;
    const known = this.#fresh(username);
    if (known !== undefined) return known;
    const removals = this.#removals;
    const found = this.#ask(user, realm, signal);
    if (!(found instanceof Promise)) return this.#keep(username, found, removals);
    return found.then((keys) => this.#keep(username, keys, removals));
  }

  forget(username: string): void {
    this.#removals++;
    this.#known.delete(username);
  }

  #fresh(username: string): UserKeys | undefined {
    const known = this.#known.get(username);
    if (known === undefined || known.until > monotonicNow()) return known?.keys;
    this.#known.delete(username);
    return undefined;
  }

  /** `removals`: how many there were when it was asked. */
  #keep(username: string, keys: UserKeys | undefined, removals: number): UserKeys | undefined {
    if (keys === undefined || removals !== this.#removals) return keys;
    // The oldest come first.
    if (this.#known.size >= mostKnown)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    this.#known.set(username, { keys, until: monotonicNow() + this.#freshMs });
    return keys;
  }
}
