/**
 * The transactions of one SIP element (RFC 3261 §17): they repeat what the network loses, absorb what it doubles, and
 * give every request one final response. Above them is their user, a proxy or a user agent; below is what sends.
 *
 * The four procedures stand in files of their own; here messages find the transaction that they belong to.
 */
import { detached } from "../../base/detached.ts";
import type { Instant, Machine } from "../../base/machine.ts";
import type { Ports } from "../../base/ports.ts";
import { hexOf } from "../digest/algorithm.ts";
import type { SipFlow, SipTarget } from "../flow.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { BRANCH_COOKIE } from "../message/via.ts";
import { AnsweredClient, ClientTransaction } from "./client.ts";
import { createContext, type TransactionTimer } from "./context.ts";
import { cancelInvite, handleInviteResponse, handleInviteTimer } from "./invite-client.ts";
import { handleAck, handleInviteAgain, handleInviteServerTimer, respondToInvite } from "./invite-server.ts";
import { clientKey, responseKey, serverKey } from "./key.ts";
import { handleNonInviteResponse, handleNonInviteTimer } from "./non-invite-client.ts";
import { handleNonInviteAgain, respondToNonInvite } from "./non-invite-server.ts";
import type { TransactionOutput } from "./outputs.ts";
import { AnsweredRequest, type Holder, ServerTransaction } from "./server.ts";
import { beginClient, failClient, forgetServer, handleResponseAgain } from "./steps.ts";

/** Bytes of a branch: nobody who did not see the request can guess the response's way in. */
const BRANCH_LENGTH = 12;
const NOBODY: readonly Holder[] = [];

export interface Sending {
  readonly to: SipFlow | SipTarget;
  /** Where answers shall come, for the Via: `host` or `host:port`. */
  readonly sentBy: string;
  /** Found again in what is told of the transaction. */
  readonly owner: unknown;
  /** More of the branch, for those who put into it what tells a loop. Token characters alone. */
  readonly branchSuffix?: string;
}

export class Transactions implements Machine<TransactionOutput> {
  readonly #context;
  readonly #random: Ports["random"];
  /** Of the request that was asked for last: a new one is asked for several times before it begins a transaction. */
  #keyed: { readonly request: SipRequest; readonly key: string } | undefined;

  constructor({ random }: Pick<Ports, "random">) {
    this.#context = createContext();
    this.#random = random;
  }

  /** Live ones of both kinds, those included that only wait for repetitions. */
  get size(): number {
    return this.#context.clients.size + this.#context.servers.size;
  }

  pollOutput(): TransactionOutput | undefined {
    return this.#context.outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#context.deadlines.next;
  }

  handleTimeout(now: Instant): void {
    const { deadlines } = this.#context;
    for (let timer = deadlines.popDue(now); timer !== undefined; timer = deadlines.popDue(now)) {
      if (timer instanceof AnsweredRequest) forgetServer(this.#context, timer);
      else if (timer instanceof AnsweredClient) this.#context.clients.delete(timer.key);
      else this.#handleTimer(timer, now);
    }
  }

  /** Whether this request belongs to a transaction that is known, and so costs no more than it does already. */
  isKnown(request: SipRequest): boolean {
    return this.#context.servers.has(this.#keyOf(request));
  }

  /** The INVITE that a CANCEL is about. */
  cancelledBy(cancel: SipRequest): ServerTransaction | undefined {
    const invite = this.#context.servers.get(serverKey(cancel, "INVITE"));
    return invite instanceof ServerTransaction ? invite : undefined;
  }

  /** `holders`: for whom a transaction that begins is counted. */
  handleRequest(request: SipRequest, from: SipFlow, now: Instant, holders: readonly Holder[] = NOBODY): void {
    const context = this.#context;
    const key = this.#keyOf(request);
    const known = context.servers.get(key);
    if (known instanceof AnsweredRequest) handleNonInviteAgain(context, known);
    else if (request.method === "ACK") {
      if (known === undefined) context.outputs.push({ kind: "ack", request, from });
      else handleAck(context, known, request, from, now);
    } else if (known === undefined) this.#begin(key, request, from, holders);
    else if (known.isInvite) handleInviteAgain(context, known);
    else handleNonInviteAgain(context, known);
  }

  /** False where the response is to nothing that is known; RFC 6026 §8.9 has it dropped then. */
  handleResponse(response: SipResponse, now: Instant): boolean {
    const key = responseKey(response);
    const transaction = key === undefined ? undefined : this.#context.clients.get(key);
    if (transaction === undefined) return false;
    if (transaction instanceof AnsweredClient) handleResponseAgain(this.#context, transaction, response);
    else if (transaction.isInvite) handleInviteResponse(this.#context, transaction, response, now);
    else handleNonInviteResponse(this.#context, transaction, response, now);
    return true;
  }

  /** Sends `request`, which gets a Via, and is the transaction's from now on. Not for ACK, which has no transaction. */
  request(request: SipRequest, { to, sentBy, owner, branchSuffix = "" }: Sending, now: Instant): ClientTransaction {
    const branch = `${BRANCH_COOKIE}${hexOf(this.#random.bytes(BRANCH_LENGTH))}${branchSuffix}`;
    // RFC 3581 §3: answers shall come to where the request came from, through whatever NAT.
    request.prependVia(`SIP/2.0/${to.transport.toUpperCase()} ${sentBy};branch=${branch};rport`);
    const key = clientKey(branch, request.method);
    const transaction = new ClientTransaction(key, branch, request, to, owner);
    this.#context.clients.set(key, transaction);
    beginClient(this.#context, transaction, now);
    return transaction;
  }

  /**
   * Answers. False when that comes too late, or is not to be sent at all (RFC 4320); after a 408 to what is no
   * INVITE nothing else is sent either.
   */
  respond(transaction: ServerTransaction, response: SipResponse, now: Instant): boolean {
    const text = response.format();
    return transaction.isInvite
      ? respondToInvite(this.#context, transaction, response.status, text, now)
      : respondToNonInvite(this.#context, transaction, response.status, text, now);
  }

  /** Wants an end of an INVITE that has no final response yet. What comes of it is told as ever. */
  cancel(transaction: ClientTransaction, now: Instant): void {
    cancelInvite(this.#context, transaction, now);
  }

  /** What was to be sent for `transaction` did not leave, or its connection is gone. */
  handleSendFailed(transaction: ClientTransaction): void {
    const isWaiting = ["calling", "trying", "proceeding"].includes(transaction.state);
    if (isWaiting) failClient(this.#context, transaction, "transport");
  }

  #keyOf(request: SipRequest): string {
    if (this.#keyed?.request !== request) this.#keyed = { request, key: serverKey(request) };
    return this.#keyed.key;
  }

  #begin(found: string, request: SipRequest, from: SipFlow, holders: readonly Holder[]): void {
    const key = detached(found);
    const transaction = new ServerTransaction(key, request, from, holders);
    for (const holder of holders) holder.transactions++;
    this.#keyed = undefined;
    this.#context.servers.set(key, transaction);
    this.#context.outputs.push({ kind: "request", transaction });
  }

  #handleTimer({ transaction, what }: TransactionTimer, now: Instant): void {
    const context = this.#context;
    if (transaction instanceof ServerTransaction) handleInviteServerTimer(context, transaction, what, now);
    else if (!transaction.isInvite) handleNonInviteTimer(context, transaction, what, now);
    else handleInviteTimer(context, transaction, what, now);
  }
}
