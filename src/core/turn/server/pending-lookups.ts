/**
 * Requests that wait for a user's keys. Their number is bounded: beyond it the request is dropped and repeated by its
 * client. One that is never answered gives up its place when it is needed.
 */
import type { Instant } from "../../base/machine.ts";
import type { PasswordAlgorithmNumber } from "../../stun/registry.ts";
import type { ClientPath } from "./client-path.ts";
import type { KeyQueryId, UserQuery } from "./outputs.ts";

const MAX_PENDING = 1024;
/** No client waits longer for an answer: RFC 8489 §6.2.1 gives up after 39.5 s. */
const PATIENCE_MS = 40_000;

export interface PendingLookup {
  /** The request, copied. */
  readonly data: Uint8Array;
  readonly path: ClientPath;
  readonly algorithm: PasswordAlgorithmNumber;
  readonly since: Instant;
  readonly user: UserQuery;
}

export class PendingLookups {
  readonly #pending: Map<KeyQueryId, PendingLookup> = new Map();
  #last = 0;

  /** Keeps a request; undefined when too many wait already. */
  add(lookup: PendingLookup): KeyQueryId | undefined {
    if (this.#pending.size >= MAX_PENDING) this.#forgetOld(lookup.since);
    if (this.#pending.size >= MAX_PENDING) return undefined;
    const query = ++this.#last as KeyQueryId;
    this.#pending.set(query, lookup);
    return query;
  }

  /** The oldest come first. */
  #forgetOld(now: Instant): void {
    for (const [query, { since }] of this.#pending) {
      if (now - since < PATIENCE_MS) return;
      this.#pending.delete(query);
    }
  }

  take(query: KeyQueryId): PendingLookup | undefined {
    const lookup = this.#pending.get(query);
    this.#pending.delete(query);
    return lookup;
  }

  /** Whoever is asked about answers with what was true when it was asked: asks anew, and takes no former answer. */
  *renew(): IterableIterator<{ query: KeyQueryId; user: UserQuery }> {
    for (const [old, lookup] of [...this.#pending]) {
      this.#pending.delete(old);
      const query = ++this.#last as KeyQueryId;
      this.#pending.set(query, lookup);
      yield { query, user: lookup.user };
    }
  }

  forgetWhere(matches: (path: ClientPath) => boolean): void {
    for (const [query, { path }] of this.#pending) if (matches(path)) this.#pending.delete(query);
  }

  clear(): void {
    this.#pending.clear();
  }
}
