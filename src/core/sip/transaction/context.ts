/** What the four procedures share: the tables, one heap of timers, and the queue of what is asked for. */
import { Deadlines, type Timed } from "../../base/deadlines.ts";
import { after, type Instant } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import type { AnsweredClient, ClientTransaction } from "./client.ts";
import type { TransactionOutput } from "./outputs.ts";
import type { AnsweredRequest, ServerTransaction } from "./server.ts";

/** Every transaction has two: when it repeats itself, and when it ends. */
export interface TransactionTimer extends Timed {
  readonly transaction: ClientTransaction | ServerTransaction;
  readonly what: "repeat" | "end";
}

export interface TransactionContext {
  readonly outputs: OutputQueue<TransactionOutput>;
  readonly deadlines: Deadlines<TransactionTimer | AnsweredRequest | AnsweredClient>;
  readonly clients: Map<string, ClientTransaction | AnsweredClient>;
  readonly servers: Map<string, ServerTransaction | AnsweredRequest>;
}

export function createContext(): TransactionContext {
  return {
    outputs: new OutputQueue(),
    deadlines: new Deadlines(),
    clients: new Map(),
    servers: new Map(),
  };
}

export function timerOf(
  transaction: TransactionTimer["transaction"],
  what: TransactionTimer["what"],
): TransactionTimer {
  return { transaction, what, deadline: 0 as Instant, heapIndex: -1 };
}

/** Starts a timer anew; 0 ms and less fire at the next turn, as the RFC's timers of zero on reliable transports do. */
export function startTimer(
  context: TransactionContext,
  timer: TransactionTimer | AnsweredRequest | AnsweredClient,
  now: Instant,
  ms: number,
): void {
  context.deadlines.set(timer, after(now, ms));
}
