/**
 * Client transactions (RFC 8489 §6.2): a request is repeated over UDP until it is answered or given up, and sent once
 * over a stream. Pure: what is due is told by `handleDue`, and the caller sends. Several run at once, and their deadlines
 * lie in a heap that may be the caller's own, among other deadlines.
 *
 * An answer is found by its transaction ID and ends nothing by itself: who checks its integrity may have to treat it as
 * never received (RFC 8489 §9.2.5), and the transaction goes on.
 */
import { readU16 } from "../base/bytes.ts";
import type { Timed } from "../base/deadlines.ts";
import { after, type Instant } from "../base/machine.ts";
import type { StunView } from "./view.ts";

export interface TransactionTiming {
  /** Until the first repetition, in milliseconds; it doubles. 0: the transport is reliable, and nothing is repeated. */
  readonly rto: number;
  /** How often the request is sent. */
  readonly count: number;
  /** Milliseconds between the last sending and giving up. */
  readonly lastWait: number;
}

/** RFC 8489 §6.2.1: RTO 500 ms, Rc 7, Rm 16. */
export const UDP_TIMING: TransactionTiming = { rto: 500, count: 7, lastWait: 16 * 500 };
/** RFC 8489 §6.2.2: once, and Ti 39.5 s, which is as long as the transaction over UDP. */
export const STREAM_TIMING: TransactionTiming = { rto: 0, count: 1, lastWait: 39_500 };

export interface ClientTransaction<Purpose> extends Timed {
  readonly kind: "transaction";
  /** The whole message, sealed: every repetition is the same. */
  readonly request: Uint8Array;
  readonly purpose: Purpose;
  readonly timing: TransactionTiming;
  /** How often it was sent. */
  sent: number;
}

/** Where the deadlines of transactions go: a `Deadlines` that may hold others too. */
export interface TransactionDeadlines<Purpose> {
  set(item: ClientTransaction<Purpose>, deadline: Instant): void;
  clear(item: ClientTransaction<Purpose>): void;
}

/** Where the transaction ID lies in a message, behind the magic cookie. */
const ID_AT = 8;
const ID_END = 20;

/** The bits of the message type that say success or error. */
const CLASS_BITS = 0x0110;

function answers(response: Uint8Array, request: Uint8Array): boolean {
  for (let i = ID_AT; i < ID_END; i++) if (response[i] !== request[i]) return false;
  return (readU16(response, 0) & ~CLASS_BITS) === readU16(request, 0);
}

export class ClientTransactions<Purpose> {
  readonly #deadlines: TransactionDeadlines<Purpose>;
  readonly #open: Set<ClientTransaction<Purpose>> = new Set();

  constructor(deadlines: TransactionDeadlines<Purpose>) {
    this.#deadlines = deadlines;
  }

  /** Those without an answer yet, oldest first. */
  get open(): Iterable<ClientTransaction<Purpose>> {
    return this.#open;
  }

  /** Takes `request`, which the caller sends now and keeps unchanged. Its transaction ID is random and fresh. */
  start(request: Uint8Array, purpose: Purpose, timing: TransactionTiming, now: Instant): ClientTransaction<Purpose> {
    const transaction: ClientTransaction<Purpose> = {
      kind: "transaction",
      request,
      purpose,
      timing,
      sent: 1,
      deadline: now,
      heapIndex: -1,
    };
    this.#open.add(transaction);
    this.#wait(transaction, now);
    return transaction;
  }

  /** The transaction that this response answers, by method and transaction ID; undefined when it answers none. */
  find(response: StunView): ClientTransaction<Purpose> | undefined {
    for (const transaction of this.#open) if (answers(response.data, transaction.request)) return transaction;
    return undefined;
  }

  /** It is answered, or no longer of interest. */
  end(transaction: ClientTransaction<Purpose>): void {
    this.#open.delete(transaction);
    this.#deadlines.clear(transaction);
  }

  /** Its deadline has come: `request` must be sent again, or it is over without an answer. */
  handleDue(transaction: ClientTransaction<Purpose>, now: Instant): "send" | "timed-out" {
    if (transaction.sent >= transaction.timing.count) {
      this.end(transaction);
      return "timed-out";
    }
    transaction.sent++;
    this.#wait(transaction, now);
    return "send";
  }

  #wait(transaction: ClientTransaction<Purpose>, now: Instant): void {
    const { timing, sent } = transaction;
    // RFC 8489 §6.2.1: the wait doubles with every sending, and after the last one it is Rm times the RTO.
    const wait = sent >= timing.count ? timing.lastWait : timing.rto * 2 ** (sent - 1);
    this.#deadlines.set(transaction, after(now, wait));
  }
}
