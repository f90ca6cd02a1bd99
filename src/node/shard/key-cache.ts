/**
 * Keys of users that a worker has asked for a moment ago: clients come more than once, and users with more than one. Who is
 * removed, or has a new password, is forgotten as soon as that is heard, and what was asked before is not kept then; who is
 * not known is asked for again.
 */
import type { UserKeys } from "../../core/turn/server/outputs.ts";
import { monotonicNow } from "../clock.ts";

const freshMs = 10_000;
const mostKnown = 1_024;

interface Known {
  readonly keys: UserKeys;
  readonly until: number;
}

export class KeyCache {
  readonly #known: Map<string, Known> = new Map();
  #removals = 0;

  /** Users that were forgotten: `keep` wants to know how many there were when it was asked. */
  get removals(): number {
    return this.#removals;
  }

  find(username: string): UserKeys | undefined {
    const known = this.#known.get(username);
    if (known === undefined || known.until > monotonicNow()) return known?.keys;
    this.#known.delete(username);
    return undefined;
  }

  keep(username: string, keys: UserKeys | undefined, removals: number): void {
    if (keys === undefined || removals !== this.#removals) return;
    // The oldest come first.
    if (this.#known.size >= mostKnown)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    this.#known.set(username, { keys, until: monotonicNow() + freshMs });
  }

  forget(username: string): void {
    this.#removals++;
    this.#known.delete(username);
  }
}
