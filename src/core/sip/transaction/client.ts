/** A client transaction: a request that was sent, and what is awaited. Its procedures are in the files beside this. */
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { SipFlow, SipTarget } from "../flow.ts";
import type { SipRequest } from "../message/message.ts";
import { type TransactionTimer, timerOf } from "./context.ts";
import { T1 } from "./timers.ts";

/** RFC 3261 Figures 5 and 6, with RFC 6026's `accepted`. A request that is no INVITE begins in `trying`. */
export type ClientState = "calling" | "trying" | "proceeding" | "accepted" | "completed" | "terminated";

export class ClientTransaction {
  readonly key: string;
  /** Of the topmost Via. */
  readonly branch: string;
  /** As it was sent: the topmost Via is this transaction's. */
  readonly request: SipRequest;
  readonly text: string;
  readonly to: SipFlow | SipTarget;
  readonly isInvite: boolean;
  readonly isReliable: boolean;
  readonly repeat: TransactionTimer;
  readonly end: TransactionTimer;
  /** Whose request it is, for the transactions' user alone. */
  readonly owner: unknown;
  state: ClientState;
  /** Milliseconds until the next repetition. */
  interval: number = T1;
  /** A CANCEL waits for the first provisional response (RFC 3261 §9.1). */
  isCancelled = false;

  constructor(key: string, branch: string, request: SipRequest, to: SipFlow | SipTarget, owner: unknown) {
    this.key = key;
    this.branch = branch;
    this.request = request;
    this.text = request.format();
    this.to = to;
    this.owner = owner;
    this.isInvite = request.method === "INVITE";
    this.isReliable = to.transport !== "udp";
    this.state = this.isInvite ? "calling" : "trying";
    this.repeat = timerOf(this, "repeat");
    this.end = timerOf(this, "end");
  }
}

/**
 * What is left of a client transaction that has its final response: what it takes when that comes again. It stays for up to
 * half a minute, and all else of it is many times as large. It is its own timer.
 */
export class AnsweredClient implements Timed {
  readonly key: string;
  readonly to: SipFlow | SipTarget;
  /** Of an INVITE that was accepted, whose every 2xx is told; else undefined. */
  readonly owner: unknown;
  /** Of an INVITE that was refused: the ACK. */
  readonly ack: string | undefined;
  readonly isAccepted: boolean;
  deadline: Instant = 0 as Instant;
  heapIndex = -1;

  constructor({ key, to, owner, isInvite }: ClientTransaction, ack: string | undefined) {
    this.key = key;
    this.to = to;
    this.ack = ack;
    this.isAccepted = isInvite && ack === undefined;
    this.owner = this.isAccepted ? owner : undefined;
  }
}
