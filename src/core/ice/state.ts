/** What the procedures of the agent share. */
import type { Address } from "../base/address.ts";
import { Deadlines } from "../base/deadlines.ts";
import { PosternError } from "../base/failure.ts";
import type { Instant } from "../base/machine.ts";
import { OutputQueue } from "../base/output-queue.ts";
import type { Ports } from "../base/ports.ts";
import { type ClientTransaction, ClientTransactions } from "../stun/client-transaction.ts";
import { StunWriter } from "../stun/writer.ts";
import type { Base, BaseId } from "./base.ts";
import type { LocalCandidate } from "./candidate.ts";
import type { Checklist, ConsentTimer, ListTimer } from "./checklist.ts";
import type { IceConfig, IceRole } from "./config.ts";
import { Foundations } from "./foundation.ts";
import { HardNats, type HardNatTimer } from "./hard-nat/hard-nats.ts";
import type { IceEvent, IceOutput, IceState } from "./outputs.ts";
import type { CandidatePair, Timer } from "./pair.ts";
import { Stream } from "./stream.ts";

/** What a Binding request is for. */
export type Ask = GatherAsk | CheckAsk | ConsentAsk;

export interface GatherAsk {
  readonly kind: "gather";
  readonly base: Base;
  readonly server: Readonly<Address>;
  sentAt: Instant;
}

export interface CheckAsk {
  readonly kind: "check";
  readonly pair: CandidatePair;
  readonly role: IceRole;
  readonly nominates: boolean;
  readonly sentAt: Instant;
  /** RFC 8445 §7.3.1.4: it is repeated no more, though its answer still counts. */
  isCancelled: boolean;
}

export interface ConsentAsk {
  readonly kind: "consent";
  readonly pair: CandidatePair;
}

export type PlainTimer = Timer<"pace" | "nominate" | "budget" | "keepalive">;

export type Due = ClientTransaction<Ask> | PlainTimer | ConsentTimer | ListTimer | HardNatTimer;

export type IceDropReason = "malformed" | "unexpected" | "unsealed" | "unvalidated" | "unknown-base";

function timer(kind: PlainTimer["kind"]): PlainTimer {
  return { kind, deadline: 0 as Instant, heapIndex: -1 };
}

/** The 64 bits that decide a role conflict. */
const TIE_BREAKER_BYTES = 8;

export class AgentState {
  readonly config: IceConfig;
  readonly ports: Ports;
  readonly outputs: OutputQueue<IceOutput> = new OutputQueue();
  readonly deadlines: Deadlines<Due> = new Deadlines();
  readonly transactions: ClientTransactions<Ask> = new ClientTransactions(this.deadlines);
  readonly writer: StunWriter = new StunWriter();
  readonly foundations: Foundations = new Foundations();
  readonly streams: readonly Stream[];
  readonly bases: Map<BaseId, Base> = new Map();
  /** Allocations that were announced, and have neither come nor failed. */
  readonly pendingRelays: Set<BaseId> = new Set();
  /** Why allocations failed: sentences. */
  readonly relayFailures: string[] = [];
  readonly locals: LocalCandidate[] = [];
  /** Sockets and the servers they are to ask, in order. */
  readonly queries: GatherAsk[] = [];
  readonly paceTimer: PlainTimer = timer("pace");
  readonly nominateTimer: PlainTimer = timer("nominate");
  readonly budgetTimer: PlainTimer = timer("budget");
  readonly keepaliveTimer: PlainTimer = timer("keepalive");
  readonly hardNats: HardNats = new HardNats();
  readonly drops: Record<IceDropReason, number> = {
    malformed: 0,
    unexpected: 0,
    unsealed: 0,
    unvalidated: 0,
    "unknown-base": 0,
  };
  role: IceRole;
  tieBreaker: Uint8Array;
  told: IceState = "new";
  gathering: "idle" | "running" | "done" = "idle";
  isClosed = false;
  /** The earliest instant for the next transaction (RFC 8445 §14.2). */
  nextSlot: Instant = Number.NEGATIVE_INFINITY as Instant;
  /** The stream whose turn it is. */
  turn = 0;
  /** Queries and checks take turns. */
  isGatherersTurn = false;
  /** The longest round trip of a check so far, in milliseconds; undefined: none was measured. */
  longestRoundTrip: number | undefined;
  /** The longest round trip to a server, in milliseconds; 0: none was measured. */
  serverRoundTrip = 0;
  /** Errors that may be answered to strangers in the second that began then. */
  errorsLeft = 0;
  errorsSince: Instant = Number.NEGATIVE_INFINITY as Instant;

  constructor(config: IceConfig, ports: Ports) {
    this.config = config;
    this.ports = ports;
    // RFC 8445 §6.1.1: of a lite and a full agent the full one is controlling.
    this.role = config.isLite ? "controlled" : config.role;
    this.tieBreaker = ports.random.bytes(TIE_BREAKER_BYTES);
    this.streams = config.streams.map((components, index) => new Stream(index, components));
  }

  get isControlling(): boolean {
    return this.role === "controlling";
  }

  /** The checklist set (RFC 8445 §6.1.2). */
  get lists(): Checklist[] {
    return this.streams.flatMap(({ current }) => (current === undefined ? [] : [current]));
  }

  stream(index: number): Stream {
    const stream = this.streams[index];
    if (stream === undefined) throw new PosternError("no-such-stream", `The agent has no stream ${index}.`);
    return stream;
  }

  freshTieBreaker(): void {
    this.tieBreaker = this.ports.random.bytes(TIE_BREAKER_BYTES);
  }

  tell(event: IceEvent): void {
    this.outputs.push({ kind: "event", event });
  }

  drop(reason: IceDropReason): false {
    this.drops[reason]++;
    return false;
  }
}
