/** Requests that wait for a user's keys. Their number is bounded: beyond it the request is dropped and repeated by its client. */
import type { PasswordAlgorithmNumber } from "../../stun/registry.ts";
import type { ClientPath } from "./client-path.ts";
import type { KeyQueryId } from "./outputs.ts";

const MAX_PENDING = 1024;

export interface PendingLookup {
  /** The request, copied. */
  readonly data: Uint8Array;
  readonly path: ClientPath;
  readonly algorithm: PasswordAlgorithmNumber;
}

export class PendingLookups {
  readonly #pending: Map<KeyQueryId, PendingLookup> = new Map();
  #last = 0;

  /** Keeps a request; undefined when too many wait already. */
  add(lookup: PendingLookup): KeyQueryId | undefined {
    if (this.#pending.size >= MAX_PENDING) return undefined;
    const query = ++this.#last as KeyQueryId;
    this.#pending.set(query, lookup);
    return query;
  }

  take(query: KeyQueryId): PendingLookup | undefined {
    const lookup = this.#pending.get(query);
    this.#pending.delete(query);
    return lookup;
  }

  clear(): void {
    this.#pending.clear();
  }
}
