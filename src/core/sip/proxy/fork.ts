/** A request that a proxy forwards, to one place or to several, and what came back (RFC 3261 §16.7). */
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { SipResponse } from "../message/message.ts";
import type { ClientTransaction } from "../transaction/client.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import type { Hop } from "./hop.ts";

/** Why a place could not be reached: it was silent, nothing could be sent to it, or it has said 503. */
export interface BranchFailure {
  readonly why: "timeout" | "transport" | "unavailable";
  /** Seconds. */
  readonly retryAfter?: number | undefined;
}

/** One of the places. */
export class Branch implements Timed {
  /** Timer C, or when it is the others' turn; of a branch that was cancelled, how long what it holds is kept. */
  deadline: Instant = 0 as Instant;
  heapIndex = -1;
  readonly fork: Fork;
  readonly hop: Hop;
  /** By which a request that returns is told (RFC 5393 §4.2). */
  readonly mark: string;
  /** Nothing has come yet from a place after which there is a spare one. */
  isAwaited = false;
  failure: BranchFailure | undefined;
  /** From when the request is sent until its end. */
  transaction: ClientTransaction | undefined;
  /** No more than a final response is awaited, or not even that. */
  isCancelled = false;
  /** Nobody there has answered in time. */
  hasExpired = false;
  isOver = false;
  /** Nothing is kept for it any more. */
  isFree = false;

  constructor(fork: Fork, hop: Hop, mark: string) {
    this.fork = fork;
    this.hop = hop;
    this.mark = mark;
  }

  /** Whether what could not be sent goes by UDP next: the server takes no connections. */
  fallsBack({ to }: ClientTransaction, why: "timeout" | "transport"): boolean {
    return why === "transport" && to === this.hop.overStream?.to && !this.isOver && !this.isCancelled;
  }
}

export class Fork implements Timed {
  /** When a request that is no INVITE gets its 100. */
  deadline: Instant = 0 as Instant;
  heapIndex = -1;
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
  /** The caller has hung up. */
  isCancelled = false;

  constructor(server: ServerTransaction, groups: readonly (readonly Hop[])[], owner: unknown) {
    this.server = server;
    this.waiting = [...groups];
    this.owner = owner;
  }

  get isInvite(): boolean {
    return this.server.isInvite;
  }

  /** Whether those who are tried next are for when others could not be reached. */
  get hasSpare(): boolean {
    return this.waiting[0]?.every(({ isSpare }) => isSpare === true) ?? false;
  }

  get isOver(): boolean {
    return this.branches.every(({ isOver }) => isOver);
  }

  /** It is over, and nobody asks what it was about: what is left says where a 2xx goes that comes once more, or late. */
  letGo(): void {
    this.branches.length = 0;
    this.best = undefined;
    this.server.letGo();
  }
}

/** RFC 3261 §16.7 step 6: these tell the caller what to do, so they go before others of their class. */
const TELLING: ReadonlySet<number> = new Set([415, 420, 484]);

/** RFC 3261 §16.7 step 6: a 6xx, or one of the lowest class that there is. */
function rank(status: number): number {
  if (status >= 600) return 0;
  // Of its class, a place that nobody answered at says least.
  const within = status === 408 ? 0.9 : TELLING.has(status) ? 0 : 0.5;
  return Math.floor(status / 100) + within;
}

/** The one of two refusals that the caller is to hear. */
export function betterRefusal(a: SipResponse | undefined, b: SipResponse): SipResponse {
  return a === undefined || rank(b.status) < rank(a.status) ? b : a;
}
