/**
 * The stateful proxy (RFC 3261 §16): forwards a request to one place or to several, and gives back the answer that counts.
 * Where to, and whether at all, has been decided before it is called. It stands on `Transactions`, whose outputs its user
 * hands to it, and it hands every message on its way to its user, who may change its body.
 */
import { Deadlines } from "../../base/deadlines.ts";
import { after, type Instant, type Machine } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import type { Ports } from "../../base/ports.ts";
import { hexOf } from "../digest/algorithm.ts";
import { createResponse } from "../message/build.ts";
import { MALFORMED } from "../message/characters.ts";
import { parseSeconds, type SipRequest, type SipResponse } from "../message/message.ts";
import type { ClientTransaction } from "../transaction/client.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import type { Transactions } from "../transaction/transactions.ts";
import { Branch, betterRefusal, Fork } from "./fork.ts";
import { breadthOf, forwarded, isLarge, LoopMarks } from "./forwarding.ts";
import type { Hop } from "./hop.ts";
import type { Carriage, ProxyOutput } from "./outputs.ts";

/** RFC 3261 §16.6 step 11: timer C is more than three minutes. */
const TIMER_C = 181_000;
/** How long what a cancelled branch holds is kept: an answer that crosses the CANCEL finds it, one that lost it may not. */
const HELD = 1_000;
/** RFC 4320 §4.1: until a client's timer E is at T2: 0.5, 1 and 2 s. */
const TRYING_AFTER = 3_500;

export interface SipProxyConfig extends Pick<Ports, "crypto" | "random"> {
  /** For the marks by which loops are told. At least 16 bytes. */
  readonly loopKey: Uint8Array;
}

export class SipProxy implements Machine<ProxyOutput> {
  readonly #transactions: Transactions;
  readonly #random: Ports["random"];
  readonly #marks: LoopMarks;
  readonly #outputs: OutputQueue<ProxyOutput> = new OutputQueue();
  readonly #deadlines: Deadlines<Branch | Fork> = new Deadlines();
  readonly #forks: Map<ServerTransaction, Fork> = new Map();

  constructor(transactions: Transactions, { crypto, random, loopKey }: SipProxyConfig) {
    this.#transactions = transactions;
    this.#random = random;
    this.#marks = new LoopMarks(crypto, loopKey);
  }

  /** Requests that are under way. */
  get size(): number {
    return this.#forks.size;
  }

  pollOutput(): ProxyOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#deadlines.next;
  }

  handleTimeout(now: Instant): void {
    for (let due = this.#deadlines.popDue(now); due !== undefined; due = this.#deadlines.popDue(now)) {
      // RFC 4320 §4.1: what is no INVITE hears 100 then, by UDP not earlier and by no transport later.
      if (due instanceof Fork) this.#transactions.respond(due.server, createResponse(due.server.request, 100), now);
      else this.#expire(due, now);
    }
  }

  /**
   * Forwards to all places of the first group at once, and when all of them have refused, to the next. `owner` is found
   * again in the branches.
   */
  forward(server: ServerTransaction, groups: readonly (readonly Hop[])[], owner: unknown, now: Instant): void {
    const fork = new Fork(server, groups, owner);
    this.#forks.set(server, fork);
    // RFC 3261 §16.2: 100 at once, so that the caller stops repeating.
    if (fork.isInvite) this.#transactions.respond(server, createResponse(server.request, 100), now);
    else this.#deadlines.set(fork, after(now, TRYING_AFTER));
    this.#tryNext(fork, now);
  }

  /** The message of an earlier `carry` is as it is to be; or it goes no further, and `refusal` is its branch's end. */
  handleCarried(carriage: Carriage, refusal: number | undefined, now: Instant): void {
    if (carriage.kind === "request") this.#handleRequestCarried(carriage, refusal, now);
    else this.#handleResponseCarried(carriage, refusal, now);
  }

  /** A response to a request that was forwarded here. */
  handleResponse({ owner: branch }: Pick<ClientTransaction, "owner">, response: SipResponse, now: Instant): void {
    if (!(branch instanceof Branch)) return;
    const { fork } = branch;
    if (branch.isAwaited) this.#hear(branch, now);
    // RFC 3261 §16.7 step 3 and 5: our Via is gone from it; a 100 goes no further.
    response.removeTopVia();
    if (response.status === 100) return;
    // DEVIATES RFC 3261 §16.7 step 5: that it rings where it is not wanted any more is of use to nobody.
    if (response.status < 200 && (fork.hasAnswered || branch.isCancelled)) return;
    // RFC 3261 §16.7 step 2: timer C begins anew. The others' turn comes however often a phone says that it rings.
    if (fork.isInvite && response.status < 200 && !isLimited(branch)) this.#deadlines.set(branch, after(now, TIMER_C));
    if (response.status < 300)
      this.#outputs.push({ kind: "carry", carriage: { kind: "response", branch, message: response } });
    else {
      if (response.status === 503) branch.failure ??= { why: "unavailable", retryAfter: retryAfterOf(response) };
      this.#settle(branch, response, now);
    }
  }

  /** No response came in time, or the request could not be sent. */
  handleFailed(transaction: ClientTransaction, why: "timeout" | "transport", now: Instant): void {
    const branch = transaction.owner;
    if (!(branch instanceof Branch)) return;
    if (branch.fallsBack(transaction, why)) return this.#sendByUdp(branch, transaction, now);
    branch.failure ??= { why };
    // RFC 3261 §16.9: what could not be sent counts as 503, which goes no further: a 500 stands for it.
    this.#settle(branch, this.#refusal(branch.fork, why === "timeout" ? 408 : 500), now);
  }

  /** RFC 3261 §16.10: the caller has hung up before anybody answered. The places say 487, or were quicker. */
  handleCancel(invite: ServerTransaction, now: Instant): void {
    const fork = this.#forks.get(invite);
    if (fork === undefined || fork.hasAnswered) return;
    fork.isCancelled = true;
    fork.waiting.length = 0;
    this.#cancelAll(fork, now);
  }

  #tryNext(fork: Fork, now: Instant): void {
    const group = fork.waiting.shift() ?? [];
    const { request } = fork.server;
    const breadth = breadthOf(request);
    // RFC 5393 §5.3.3.1: those who were tried before are over, and so all of it may be used again.
    if (group.length > breadth) {
      fork.waiting.length = 0;
      fork.best = betterRefusal(fork.best, this.#refusal(fork, 440));
      return this.#answerRefused(fork, now);
    }
    const started = group.map((hop) => new Branch(fork, hop, this.#marks.of(request, hop)));
    fork.branches.push(...started);
    for (const branch of started) this.#start(branch, Math.floor(breadth / group.length), now);
    if (started.length === 0) this.#answerRefused(fork, now);
  }

  #start(branch: Branch, breadth: number, now: Instant): void {
    const { request } = branch.fork.server;
    if (this.#marks.isLoop(request, branch.mark)) {
      this.#settle(branch, this.#refusal(branch.fork, 482), now);
      return;
    }
    const message = forwarded(request, branch.hop, breadth);
    this.#outputs.push({ kind: "carry", carriage: { kind: "request", branch, message } });
  }

  #handleRequestCarried(
    { branch, message }: Extract<Carriage, { kind: "request" }>,
    refusal: number | undefined,
    now: Instant,
  ): void {
    if (branch.isOver) return;
    if (branch.isCancelled) this.#settle(branch, this.#refusal(branch.fork, 487), now);
    else if (refusal !== undefined) this.#settle(branch, this.#refusal(branch.fork, refusal), now);
    else {
      const { overStream } = branch.hop;
      this.#send(
        branch,
        message,
        overStream !== undefined && isLarge(message, branch.hop) ? overStream : branch.hop,
        now,
      );
    }
  }

  #send(branch: Branch, message: SipRequest, { to, sentBy }: Pick<Hop, "to" | "sentBy">, now: Instant): void {
    const { fork, hop, mark } = branch;
    branch.transaction = this.#transactions.request(
      message,
      { to, sentBy, owner: branch, branchSuffix: `.${mark}` },
      now,
    );
    branch.isAwaited = fork.hasSpare && hop.speaksWithin !== undefined;
    if (branch.isAwaited) this.#deadlines.set(branch, after(now, hop.speaksWithin ?? 0));
    else if (isLimited(branch)) this.#deadlines.set(branch, after(now, hop.ringsFor ?? 0));
    else if (fork.isInvite) this.#deadlines.set(branch, after(now, TIMER_C));
  }

  /** RFC 3261 §18.1.1: a server that takes no connections is of before TCP was required, and gets it by UDP. */
  #sendByUdp(branch: Branch, { request }: ClientTransaction, now: Instant): void {
    const message = request.copy();
    message.removeTopVia();
    this.#outputs.push({ kind: "stream-refused", branch });
    this.#send(branch, message, branch.hop, now);
  }

  /** The first word of a place: it is not waited for any longer, but for that it answers. */
  #hear(branch: Branch, now: Instant): void {
    branch.isAwaited = false;
    if (branch.fork.isInvite && !branch.isOver) this.#deadlines.set(branch, after(now, TIMER_C));
    else this.#deadlines.clear(branch);
  }

  /**
   * RFC 3263 §4.3: nothing has come from there, so the next server is tried. Where the first speaks later nevertheless it
   * hears a CANCEL, and what has answered there is told to the caller as any answer of a fork.
   * DEVIATES RFC 3263 §4.3: not after 64 × T1, when most callers have given up.
   */
  #giveUp(branch: Branch, now: Instant): void {
    const { transaction, fork } = branch;
    branch.isAwaited = false;
    branch.isCancelled = true;
    branch.failure = { why: "timeout" };
    if (transaction !== undefined && fork.isInvite) this.#transactions.cancel(transaction, now);
    this.#settle(branch, this.#refusal(fork, 408), now);
  }

  #handleResponseCarried(
    { branch, message }: Extract<Carriage, { kind: "response" }>,
    refusal: number | undefined,
    now: Instant,
  ): void {
    const { fork } = branch;
    if (refusal !== undefined) {
      if (message.status >= 200) this.#settle(branch, this.#refusal(fork, refusal), now);
      return;
    }
    this.#transactions.respond(fork.server, message, now);
    if (message.status < 200) return;
    this.#answered(fork);
    fork.waiting.length = 0;
    // RFC 3261 §16.7 step 10: who else rings is told at once.
    this.#cancelAll(fork, now, branch);
    this.#end(branch);
    this.#endIfOver(fork);
  }

  /** Its time has come: to give way to others, or to let go of what it holds. */
  #expire(branch: Branch, now: Instant): void {
    const { fork } = branch;
    if (branch.isAwaited) return this.#giveUp(branch, now);
    if (fork.isInvite && !branch.isCancelled) {
      // RFC 3261 §16.8: it is cancelled, and its 487 ends it.
      branch.hasExpired = true;
      this.#cancel(branch, now);
      return;
    }
    this.#free(branch);
    // Who waits for the next place does not wait for ever for the word of one that is gone.
    if (fork.waiting.length > 0) this.#settle(branch, this.#refusal(fork, 408), now);
  }

  /** The branch has come to nothing, for which `response` stands. */
  #settle(branch: Branch, response: SipResponse, now: Instant): void {
    if (branch.isOver) return;
    const { fork } = branch;
    this.#end(branch);
    this.#free(branch);
    fork.best = betterRefusal(fork.best, this.#readable(branch, response));
    // RFC 3261 §16.7 step 5: a 6xx is meant for all.
    if (response.status >= 600) {
      fork.waiting.length = 0;
      this.#cancelAll(fork, now);
    }
    if (!fork.isOver) return;
    // RFC 3263 §4.3: who has refused was reached, and its word counts.
    if (fork.hasSpare && branch.failure === undefined) fork.waiting.length = 0;
    if (!fork.hasAnswered && fork.waiting.length > 0) this.#tryNext(fork, now);
    else this.#answerRefused(fork, now);
  }

  #answerRefused(fork: Fork, now: Instant): void {
    if (!fork.hasAnswered) {
      this.#answered(fork);
      fork.best = this.#final(fork);
      this.#transactions.respond(fork.server, fork.best, now);
    }
    this.#endIfOver(fork);
  }

  #final(fork: Fork): SipResponse {
    const best = fork.best ?? this.#refusal(fork, 480);
    // RFC 3261 §9.2: who has hung up hears that, and not what was said of it elsewhere.
    if (fork.isCancelled && best.status !== 487) return this.#refusal(fork, 487);
    // RFC 3261 §16.7 step 6: a 503 is about that server, not about what was asked.
    return best.status === 503 ? this.#refusal(fork, 500) : best;
  }

  /** What a refusal says to the caller. */
  #readable({ fork, hasExpired }: Branch, response: SipResponse): SipResponse {
    const { status } = response;
    // DEVIATES RFC 3261 §16.7 step 7: many phones answer whoever asks for their password, for any realm. Those who are
    // called have nothing to ask for: users' phones are asked by us, and a trunk knows us by our address.
    if (status === 401 || status === 407) return this.#refusal(fork, 403, "Asked for a Password");
    // It was we who ended it, and the caller has not.
    return status === 487 && hasExpired ? this.#refusal(fork, 408) : response;
  }

  /** RFC 3261 §8.2.6.2: what is answered here begins no dialog, and has a tag in To nevertheless. */
  #refusal({ server }: Fork, status: number, reason?: string): SipResponse {
    const toTag = hexOf(this.#random.bytes(8));
    return createResponse(server.request, status, reason === undefined ? { toTag } : { toTag, reason });
  }

  #answered(fork: Fork): void {
    fork.hasAnswered = true;
    this.#deadlines.clear(fork);
  }

  #cancelAll(fork: Fork, now: Instant, but?: Branch): void {
    for (const branch of fork.branches) if (branch !== but && !branch.isOver) this.#cancel(branch, now);
  }

  /** RFC 3261 §9.1: an INVITE alone; other requests are short enough. */
  #cancel(branch: Branch, now: Instant): void {
    if (!branch.fork.isInvite || branch.isCancelled) return;
    branch.isCancelled = true;
    if (branch.transaction === undefined) return this.#free(branch);
    this.#transactions.cancel(branch.transaction, now);
    this.#deadlines.set(branch, after(now, HELD));
  }

  #end(branch: Branch): void {
    branch.isOver = true;
    branch.transaction = undefined;
    this.#deadlines.clear(branch);
  }

  #free(branch: Branch): void {
    if (branch.isFree) return;
    branch.isFree = true;
    this.#outputs.push({ kind: "branch-over", branch });
  }

  #endIfOver(fork: Fork): void {
    if (!fork.isOver || !fork.hasAnswered || this.#forks.get(fork.server) !== fork) return;
    this.#forks.delete(fork.server);
    this.#outputs.push({ kind: "fork-over", fork });
  }
}

/** Whether others are tried when this one has rung for its time. */
function isLimited(branch: Branch): branch is Branch & { readonly hop: { readonly ringsFor: number } } {
  return branch.fork.waiting.length > 0 && branch.hop.ringsFor !== undefined;
}

/** RFC 3261 §20.33, in seconds; what stands behind them is for people. */
function retryAfterOf(response: SipResponse): number | undefined {
  const seconds = parseSeconds(response.header("retry-after")?.split(/[;( ]/, 1)[0] ?? "");
  return seconds === MALFORMED ? undefined : seconds;
}
