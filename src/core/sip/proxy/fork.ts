/** A request that a proxy forwards, to one place or to several, and what came back (RFC 3261 §16.7). */
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { SipResponse } from "../message/message.ts";
import type { ClientTransaction } from "../transaction/client.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import type { Hop } from "./hop.ts";

/** One of the places. */
export class Branch implements Timed {
  /** Timer C. */
  deadline: Instant = 0 as Instant;
  heapIndex = -1;
  readonly fork: Fork;
  readonly hop: Hop;
  /** Once the request has been sent. */
  transaction: ClientTransaction | undefined;
  /** No more than a final response is awaited, or not even that. */
  isCancelled = false;
  isOver = false;

  constructor(fork: Fork, hop: Hop) {
    this.fork = fork;
    this.hop = hop;
  }
}

export class Fork {
  readonly server: ServerTransaction;
  /** Groups of places that are tried one group after the other. */
  readonly waiting: (readonly Hop[])[];
  /** Those that have been tried. */
  readonly branches: Branch[] = [];
  /** Whatever the proxy's user keeps with the request. */
  readonly owner: unknown;
  /** The best refusal so far; no response at all counts as 408. */
  best: SipResponse | undefined;
  hasAnswered = false;

  constructor(server: ServerTransaction, groups: readonly (readonly Hop[])[], owner: unknown) {
    this.server = server;
    this.waiting = [...groups];
    this.owner = owner;
  }

  get isInvite(): boolean {
    return this.server.isInvite;
  }

  get isOver(): boolean {
    return this.branches.every(({ isOver }) => isOver);
  }
}

/** RFC 3261 §16.7 step 6: these tell the caller what to do, so they go before others of their class. */
const TELLING: ReadonlySet<number> = new Set([401, 407, 415, 420, 484]);

function rank(status: number): number {
  if (status >= 600) return 0;
  const isTelling = TELLING.has(status);
  // A place that nobody answered at says least of all.
  if (status === 408) return 7;
  return Math.floor(status / 100) + (isTelling ? 0 : 0.5);
}

/** The one of two refusals that the caller is to hear. */
export function betterRefusal(a: SipResponse | undefined, b: SipResponse): SipResponse {
  return a === undefined || rank(b.status) < rank(a.status) ? b : a;
}
