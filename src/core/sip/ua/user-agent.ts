/**
 * The core of a user agent (RFC 3261 §8, §13 to §15): places calls and takes them, changes them, ends them. It stands on
 * `Transactions`, whose outputs its user hands to it, and it never reads a description of media: who has media answers.
 *
 * Calls are data; the procedures stand in files of their own.
 */
import type { Instant, Machine } from "../../base/machine.ts";
import { dialogKeyOf } from "../dialog/dialog.ts";
import type { SipFlow, SipTarget } from "../flow.ts";
import { judgeRequest } from "../message/judge.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { ClientTransaction } from "../transaction/client.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import type { Transactions } from "../transaction/transactions.ts";
import { acknowledge } from "./acknowledge.ts";
import { InviteAttempt, RequestAttempt } from "./attempt.ts";
import { type LocalParty, UaCall } from "./call.ts";
import { SDP, UA_METHODS, UaContext, type UaPorts } from "./context.ts";
import { handleBye, hangUp, refuseAsked } from "./hang-up.ts";
import { handleInviteFailed, handleInviteResponse, type Placing, placeCall } from "./invite-client.ts";
import {
  acceptInvite,
  handleAck,
  handleCancelled,
  handleInvite,
  handleReinvite,
  handleRepeat,
  handleUnacknowledged,
  ring,
} from "./invite-server.ts";
import type { UserAgentOutput } from "./outputs.ts";
import {
  acceptUpdate,
  handleRequestFailed,
  handleRequestResponse,
  handleUpdate,
  offerWithin,
} from "./session-change.ts";

const JUDGE = {
  role: "server",
  schemes: ["sip", "sips", "tel"],
  extensions: [],
  methods: UA_METHODS,
  contentTypes: [SDP, "multipart/mixed", "multipart/alternative"],
  answers: SDP,
} as const;

export class UserAgent implements Machine<UserAgentOutput> {
  readonly #context: UaContext;

  constructor(transactions: Transactions, ports: UaPorts) {
    this.#context = new UaContext(transactions, ports);
  }

  /** Those that are not over. */
  get calls(): ReadonlySet<UaCall> {
    return this.#context.calls;
  }

  pollOutput(): UserAgentOutput | undefined {
    return this.#context.outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#context.deadlines.next;
  }

  handleTimeout(now: Instant): void {
    const { deadlines, outputs } = this.#context;
    for (let due = deadlines.popDue(now); due !== undefined; due = deadlines.popDue(now)) {
      const { call, what } = due;
      if (what === "repeat") handleRepeat(this.#context, call, now);
      else if (what === "unacknowledged") handleUnacknowledged(this.#context, call, now);
      else outputs.push({ kind: "offer-again", call });
    }
  }

  /** The call that a request is within, if it is one of this agent's: who knows both tags has taken part in it. */
  callOf(request: SipRequest): UaCall | undefined {
    const { dialogs } = this.#context;
    return dialogs.size === 0 ? undefined : dialogs.get(dialogKeyOf(request));
  }

  /** A request that is new. `local`: who it is for, and `hop`: where its sender is reached, when it begins a call. */
  handleRequest(
    transaction: ServerTransaction,
    { local, hop }: { readonly local: LocalParty; readonly hop: SipFlow | SipTarget },
    now: Instant,
  ): void {
    const context = this.#context;
    const { request } = transaction;
    const verdict = judgeRequest(request, JUDGE);
    if (verdict !== undefined) context.respond(transaction, verdict.status, now, verdict);
    else if (request.method === "CANCEL") this.#cancel(transaction, now);
    else if (request.toTag !== undefined) this.#handleWithin(transaction, now);
    else if (request.method === "INVITE") handleInvite(context, transaction, local, hop, now);
    else if (request.method === "OPTIONS") this.#describeSelf(transaction, now);
    // RFC 3261 §15.1.2: a BYE, or an UPDATE, that is to no call.
    else context.respond(transaction, 481, now);
  }

  /** An ACK for a 2xx; false where it is no call's of this agent. */
  handleAck(request: SipRequest, now: Instant): boolean {
    const call = this.callOf(request);
    if (call !== undefined) handleAck(this.#context, call, request, now);
    return call !== undefined;
  }

  /** The caller has given up; false where the INVITE is not this agent's. Its CANCEL is answered by who has it. */
  handleCancel(invite: ServerTransaction, now: Instant): boolean {
    const { owner } = invite;
    if (!(owner instanceof UaCall)) return false;
    handleCancelled(this.#context, owner, invite, now);
    return true;
  }

  /** False where the transaction is not this agent's. */
  handleResponse({ owner }: Pick<ClientTransaction, "owner">, response: SipResponse, now: Instant): boolean {
    if (owner instanceof InviteAttempt) handleInviteResponse(this.#context, owner, response, now);
    else if (owner instanceof RequestAttempt) handleRequestResponse(this.#context, owner, response, now);
    else return false;
    return true;
  }

  /** No response came, or the request could not be sent; false where the transaction is not this agent's. */
  handleFailed({ owner }: ClientTransaction, now: Instant): boolean {
    if (owner instanceof InviteAttempt) handleInviteFailed(this.#context, owner);
    else if (owner instanceof RequestAttempt) handleRequestFailed(this.#context, owner, now);
    else return false;
    return true;
  }

  call(placing: Placing, now: Instant): UaCall {
    return placeCall(this.#context, placing, now);
  }

  /** Says that it rings; with a description, that media comes already. False where it is too late for that. */
  ring(call: UaCall, description: string | undefined, now: Instant): boolean {
    return ring(this.#context, call, description, now);
  }

  /** Takes what the other side asks for, with our answer, or our offer where it made none. */
  answer(call: UaCall, description: string, now: Instant): void {
    const { asked, acknowledging } = call;
    if (acknowledging !== undefined) acknowledge(this.#context, call, description);
    else if (asked?.transaction.isInvite === true) acceptInvite(this.#context, call, description, now);
    else if (asked !== undefined) {
      call.asked = undefined;
      acceptUpdate(this.#context, call, asked.transaction, description, now);
    }
  }

  /** Refuses what the other side asks for: the call, or, within one, what it offers. */
  refuse(call: UaCall, status: number, now: Instant): void {
    if (call.asked === undefined) return;
    if (call.state === "calling" || call.state === "ringing") hangUp(this.#context, call, status, now);
    else refuseAsked(this.#context, call, status, now);
  }

  /**
   * Offers within a call; undefined asks the other side for an offer, which an INVITE alone can. `agreed`, `offered`,
   * `declined` or `offer-again` follows. False where it cannot be done now.
   */
  offer(call: UaCall, method: "INVITE" | "UPDATE", description: string | undefined, now: Instant): boolean {
    return offerWithin(this.#context, call, method, description, now);
  }

  /** Ends the call by whatever fits: CANCEL, a refusal, or BYE. `ended` follows, when it is certain. */
  hangUp(call: UaCall, now: Instant): void {
    hangUp(this.#context, call, 480, now);
  }

  #handleWithin(transaction: ServerTransaction, now: Instant): void {
    const context = this.#context;
    const { request } = transaction;
    const call = this.callOf(request);
    // RFC 3261 §12.2.2: a dialog that is not known.
    if (call === undefined) {
      context.respond(transaction, 481, now);
      return;
    }
    const dialog = call.dialog ?? call.early.get(request.fromTag ?? "")?.dialog;
    // RFC 3261 §12.2.2: one that comes after a later one.
    if (dialog?.takesInOrder(request) === false) context.respond(transaction, 500, now);
    else if (request.method === "INVITE") handleReinvite(context, call, transaction, now);
    else if (request.method === "UPDATE") handleUpdate(context, call, transaction, now);
    else if (request.method === "BYE") handleBye(context, call, transaction, now);
    else this.#describeSelf(transaction, now);
  }

  #cancel(transaction: ServerTransaction, now: Instant): void {
    const { transactions } = this.#context;
    const invite = transactions.cancelledBy(transaction.request);
    this.#context.respond(transaction, invite === undefined ? 481 : 200, now);
    if (invite !== undefined) this.handleCancel(invite, now);
  }

  /** RFC 3261 §11.2. */
  #describeSelf(transaction: ServerTransaction, now: Instant): void {
    const headers = [
      ["Allow", UA_METHODS.join(", ")],
      ["Accept", SDP],
    ] as const;
    this.#context.respond(transaction, 200, now, { headers });
  }
}
