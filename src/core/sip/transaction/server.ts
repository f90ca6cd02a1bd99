/** A server transaction: a request that came, and the answer that it gets each time it comes again. */
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { SipFlow } from "../flow.ts";
import { Headers } from "../message/headers.ts";
import { SipRequest } from "../message/message.ts";
import { type TransactionTimer, timerOf } from "./context.ts";

/** Somebody whose transactions are counted for as long as they live. */
export interface Holder {
  transactions: number;
}

/**
 * What is left of a request that is no INVITE when it has its final answer: what it takes to give that again. It stays for
 * half a minute, and the request itself is ten times as large. It is its own timer, because it has but one.
 */
export class AnsweredRequest implements Timed {
  readonly key: string;
  readonly from: SipFlow;
  /** Undefined: no answer is the answer. */
  readonly response: string | undefined;
  readonly holders: readonly Holder[];
  deadline: Instant = 0 as Instant;
  heapIndex = -1;

  constructor({ key, from, holders }: ServerTransaction, response: string | undefined) {
    this.key = key;
    this.from = from;
    this.holders = holders;
    this.response = response;
  }
}

/** RFC 3261 Figures 7 and 8, with RFC 6026's `accepted`. A request that is no INVITE begins in `trying`. */
export type ServerState = "trying" | "proceeding" | "accepted" | "completed" | "confirmed" | "terminated";

/** What there is of a request that nobody asks for any more. */
const LET_GO = new SipRequest("INVITE", "sip:invalid", new Headers([]), "");

export class ServerTransaction {
  readonly key: string;
  #request: SipRequest;
  /** Where the request came from, which is where its answers go. */
  readonly from: SipFlow;
  readonly isInvite: boolean;
  readonly isReliable: boolean;
  readonly repeat: TransactionTimer;
  readonly end: TransactionTimer;
  readonly holders: readonly Holder[];
  /** Whatever the transactions' user keeps with it. */
  owner: unknown;
  state: ServerState;
  interval = 0;
  /** The last, if there was any. */
  response: string | undefined;

  constructor(key: string, request: SipRequest, from: SipFlow, holders: readonly Holder[]) {
    this.key = key;
    this.#request = request;
    this.from = from;
    this.holders = holders;
    this.isInvite = request.method === "INVITE";
    this.isReliable = from.transport !== "udp";
    this.state = this.isInvite ? "proceeding" : "trying";
    this.repeat = timerOf(this, "repeat");
    this.end = timerOf(this, "end");
  }

  get request(): SipRequest {
    return this.#request;
  }

  /** The final answer is given, and the user needs the request no more: an accepted INVITE's answers go by the flow alone. */
  letGo(): void {
    this.#request = LET_GO;
  }
}
