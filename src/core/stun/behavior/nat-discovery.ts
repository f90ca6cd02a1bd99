/**
 * NAT behaviour discovery, the client (RFC 5780 §4): finds out how the NATs and firewalls between one local address and
 * some STUN servers behave. One machine makes one report, for one family; it opens its own sockets.
 *
 * The tests are procedures (`procedure.ts`); this machine runs them: it opens what they ask for, repeats their requests,
 * matches answers, and paces them.
 */
import { type Address, copyAddress, type Family, sameAddress } from "../../base/address.ts";
import { Deadlines, type Timed } from "../../base/deadlines.ts";
import { after, type Instant, type Machine } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import type { Random } from "../../base/ports.ts";
import { type ClientTransaction, ClientTransactions, type TransactionTiming } from "../client-transaction.ts";
import { ErrorCode, MessageClass, Method } from "../registry.ts";
import { StunView } from "../view.ts";
import { readAnswer } from "./answer.ts";
import { type DiscoveryTests, discover } from "./discover.ts";
import type { NatDiscoveryOutput } from "./output.ts";
import { Probes } from "./probes.ts";
import type { Answer, Ask, Open, Outcome, ProbeSocket, ProbeSocketId, Procedure, Step } from "./procedure.ts";
import { type BehaviorReport, type Finding, unknown } from "./report.ts";

export interface NatDiscoveryConfig {
  readonly family: Family;
  /** Asked in this order; the first that has another address is the one whose answers are judged. */
  readonly servers: readonly Readonly<Address>[];
  readonly tests: DiscoveryTests;
  /** Of requests over UDP. Silence is an answer too, and is waited for this long. */
  readonly timing?: TransactionTiming;
}

/** Given up after 5.75 s: five requests are all lost once in 150 times where a fifth of all packets is. */
const TIMING: TransactionTiming = { rto: 250, count: 5, lastWait: 2_000 };

/** Milliseconds for a connection, and for an answer through one. */
const STREAM_PATIENCE = 5_000;
const STREAM_TIMING: TransactionTiming = { rto: 0, count: 1, lastWait: STREAM_PATIENCE };

/** Milliseconds for whoever asks the gateway. */
const GATEWAY_PATIENCE = 5_000;

/** RFC 5780 §5: no more than ten new transactions a second. */
const PACE = 100;

/** A procedure that runs, or waits. */
interface Task {
  readonly procedure: Procedure<unknown>;
  /** Who waits for it, and as which of several; undefined for the discovery itself. */
  readonly parent: { readonly task: Task; readonly index: number } | undefined;
  /** Of procedures that it waits for. */
  results: unknown[];
  left: number;
}

interface Asked {
  readonly task: Task;
  readonly ask: Ask;
  elsewhere: boolean;
  /** What a server said that could not answer the last repetition. */
  busy: Answer | undefined;
}

interface Waiting extends Timed {
  readonly kind: "pause" | "opening" | "gateway" | "pace";
  readonly task: Task | undefined;
  /** Of an opening. */
  readonly socket: ProbeSocketId;
}

interface Opening {
  readonly task: Task;
  readonly transport: "udp" | "tcp";
  readonly waiting: Waiting | undefined;
}

export class NatDiscovery implements Machine<NatDiscoveryOutput> {
  readonly #config: NatDiscoveryConfig;
  readonly #outputs = new OutputQueue<NatDiscoveryOutput>();
  readonly #deadlines = new Deadlines<ClientTransaction<Asked> | Waiting>();
  readonly #transactions: ClientTransactions<Asked> = new ClientTransactions(this.#deadlines);
  readonly #probes: Probes;
  readonly #view = new StunView();
  readonly #opening: Map<ProbeSocketId, Opening> = new Map();
  readonly #open: Set<ProbeSocketId> = new Set();
  /** Requests that wait for their turn. */
  readonly #queue = new OutputQueue<Asked>();
  readonly #pace: Waiting = { kind: "pace", task: undefined, socket: 0, deadline: 0 as Instant, heapIndex: -1 };
  /** Who waits for the gateway's answer. */
  #gateway: Waiting | undefined;
  #nextStart = 0 as Instant;
  #lastSocket = 0;
  #state: "new" | "running" | "over" = "new";

  constructor(config: NatDiscoveryConfig, random: Random) {
    this.#config = config;
    this.#probes = new Probes(random);
  }

  start(now: Instant): void {
    if (this.#state !== "new") return;
    this.#state = "running";
    const { family, servers, tests } = this.#config;
    this.#resume(newTask(discover(this.#probes, family, servers, tests), undefined), undefined, now);
  }

  /** `local` is the socket's own address, with its port; never a wildcard. */
  handleOpened(socket: ProbeSocketId, local: Readonly<Address>, now: Instant): void {
    const opening = this.#takeOpening(socket);
    if (opening === undefined) return;
    this.#open.add(socket);
    const probe: ProbeSocket = { id: socket, transport: opening.transport, local: copyAddress(local) };
    this.#resume(opening.task, probe, now);
  }

  /** It could not be opened, did not connect, or has died. */
  handleFailed(socket: ProbeSocketId, now: Instant): void {
    this.#open.delete(socket);
    const opening = this.#takeOpening(socket);
    if (opening !== undefined) this.#resume(opening.task, undefined, now);
  }

  /** What the default gateway says, or why it is not known. */
  handleGateway(external: Finding<Readonly<Address>>, now: Instant): void {
    const waiting = this.#gateway;
    if (waiting?.task === undefined) return;
    this.#gateway = undefined;
    this.#deadlines.clear(waiting);
    this.#resume(waiting.task, external, now);
  }

  /** One datagram, or one message of a connection. `data` and `from` are borrowed. */
  handleMessage(socket: ProbeSocketId, data: Uint8Array, from: Readonly<Address>, now: Instant): void {
    const view = this.#view;
    if (view.decode(data) !== undefined || view.method !== Method.Binding) return;
    const transaction = this.#transactions.find(view);
    if (transaction === undefined) return;
    const { purpose } = transaction;
    const { ask, task } = purpose;
    if (!ask.on.some(({ id }) => id === socket)) return;
    // Only what goes to our own public address comes back as a request.
    const isEcho = view.class === MessageClass.Request;
    if (isEcho !== (ask.from === undefined) || view.class === MessageClass.Indication) return;
    if (ask.from !== undefined && !ask.from.some((one) => sameAddress(one, from))) {
      purpose.elsewhere = true;
      return;
    }
    const answer = readAnswer(view, socket, from);
    // RFC 8489 §14.8: the trouble is temporary, and the client tries again, which repeating the request does.
    if (answer.code === ErrorCode.ServerError) {
      purpose.busy = answer;
      return;
    }
    this.#transactions.end(transaction);
    this.#resume(task, answer, now);
  }

  /** Gives up: sockets are closed, and there is no report. */
  close(_now: Instant): void {
    if (this.#state !== "over") this.#finish();
  }

  pollOutput(): NatDiscoveryOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#state === "over" ? undefined : this.#deadlines.next;
  }

  handleTimeout(now: Instant): void {
    for (let due = this.#popDue(now); due !== undefined; due = this.#popDue(now)) {
      if (due.kind === "transaction") this.#repeat(due, now);
      else if (due.kind === "pace") this.#startNext(now);
      else if (due.kind === "opening") this.#giveUpOpening(due.socket, now);
      else if (due.kind === "gateway") this.handleGateway(unknown("gateway-silent"), now);
      else if (due.task !== undefined) this.#resume(due.task, undefined, now);
    }
  }

  #popDue(now: Instant): ClientTransaction<Asked> | Waiting | undefined {
    return this.#state === "over" ? undefined : this.#deadlines.popDue(now);
  }

  #repeat(transaction: ClientTransaction<Asked>, now: Instant): void {
    const { ask, task, elsewhere, busy } = transaction.purpose;
    if (this.#transactions.handleDue(transaction, now) === "send") {
      transaction.purpose.busy = undefined;
      this.#sendRequest(ask);
      return;
    }
    const silence: Outcome = { kind: "silence", elsewhere };
    this.#resume(task, busy ?? silence, now);
  }

  #resume(task: Task, outcome: unknown, now: Instant): void {
    // An answer may come, and the gateway speak, after the end.
    if (this.#state === "over") return;
    const { done, value } = task.procedure.next(outcome);
    if (done !== true) {
      this.#perform(task, value, now);
      return;
    }
    if (task.parent === undefined) {
      this.#finish();
      this.#outputs.push({ kind: "report", report: value as BehaviorReport });
      return;
    }
    const { task: parent, index } = task.parent;
    parent.results[index] = value;
    if (--parent.left === 0) this.#resume(parent, parent.results, now);
  }

  #perform(task: Task, step: Step, now: Instant): void {
    switch (step.kind) {
      case "open":
        return this.#openSocket(task, step, now);
      case "ask":
        return this.#ask({ task, ask: step, elsewhere: false, busy: undefined }, now);
      case "tell":
        this.#send(step.socket, step.to, step.message, step.hopLimit);
        return this.#resume(task, undefined, now);
      case "ask-gateway":
        this.#gateway = this.#wait("gateway", task, 0, after(now, GATEWAY_PATIENCE));
        this.#outputs.push({ kind: "ask-gateway" });
        return;
      case "stage":
        this.#outputs.push({ kind: "stage", stage: step.stage });
        return this.#resume(task, undefined, now);
      case "pause":
        this.#wait("pause", task, 0, after(now, step.ms));
        return;
      case "together":
        return this.#fork(task, step.procedures, now);
    }
  }

  #fork(task: Task, procedures: readonly Procedure<unknown>[], now: Instant): void {
    task.results = [];
    task.left = procedures.length;
    for (const [index, procedure] of procedures.entries()) {
      this.#resume(newTask(procedure, { task, index }), undefined, now);
    }
  }

  #openSocket(task: Task, step: Open, now: Instant): void {
    const socket = ++this.#lastSocket;
    const { transport } = step;
    const waiting = transport === "udp" ? undefined : this.#wait("opening", task, socket, after(now, STREAM_PATIENCE));
    this.#opening.set(socket, { task, transport, waiting });
    if (step.transport === "udp") this.#outputs.push({ kind: "open", socket });
    else this.#outputs.push({ kind: "connect", socket, to: step.to, localPort: step.from?.local.port ?? 0 });
  }

  #takeOpening(socket: ProbeSocketId): Opening | undefined {
    const opening = this.#opening.get(socket);
    this.#opening.delete(socket);
    if (opening?.waiting !== undefined) this.#deadlines.clear(opening.waiting);
    return opening;
  }

  #giveUpOpening(socket: ProbeSocketId, now: Instant): void {
    this.#outputs.push({ kind: "close", socket });
    this.handleFailed(socket, now);
  }

  #wait(kind: Waiting["kind"], task: Task, socket: ProbeSocketId, deadline: Instant): Waiting {
    const waiting: Waiting = { kind, task, socket, deadline, heapIndex: -1 };
    this.#deadlines.set(waiting, deadline);
    return waiting;
  }

  #ask(asked: Asked, now: Instant): void {
    this.#queue.push(asked);
    if (this.#pace.heapIndex < 0) this.#startNext(now);
  }

  /** RFC 5780 §5: new transactions are paced. */
  #startNext(now: Instant): void {
    if (this.#queue.length === 0) return;
    if (now < this.#nextStart) {
      this.#deadlines.set(this.#pace, this.#nextStart);
      return;
    }
    this.#nextStart = after(now, PACE);
    const asked = this.#queue.shift() as Asked;
    const { ask } = asked;
    const timing = ask.socket.transport === "tcp" ? STREAM_TIMING : (this.#config.timing ?? TIMING);
    this.#transactions.start(ask.request, asked, timing, now);
    this.#sendRequest(ask);
    if (this.#queue.length > 0) this.#deadlines.set(this.#pace, this.#nextStart);
  }

  #sendRequest({ socket, to, request, ahead }: Ask): void {
    if (ahead !== undefined) this.#send(socket, ahead.to, ahead.message, ahead.hopLimit);
    this.#send(socket, to, request, undefined);
  }

  #send(socket: ProbeSocket, to: Readonly<Address>, data: Uint8Array, hopLimit: number | undefined): void {
    if (this.#open.has(socket.id)) this.#outputs.push({ kind: "send", socket: socket.id, to, data, hopLimit });
  }

  #finish(): void {
    this.#state = "over";
    for (const socket of [...this.#open, ...this.#opening.keys()]) this.#outputs.push({ kind: "close", socket });
    this.#open.clear();
    this.#opening.clear();
  }
}

function newTask(procedure: Procedure<unknown>, parent: Task["parent"]): Task {
  return { procedure, parent, results: [], left: 0 };
}
