/**
 * The TURN client (RFC 8656), pure. This file dispatches; each procedure has its own. One client keeps one allocation:
 * it asks for a path to the server, allocates with the long-term mechanism, refreshes what is wanted on time, and when
 * the allocation is lost makes another with the same permissions and channels, if the policy says so.
 */
import type { PeerAddress } from "../../base/address.ts";
import { PosternError } from "../../base/failure.ts";
import type { Instant, Machine } from "../../base/machine.ts";
import type { Ports } from "../../base/ports.ts";
import type { ClientTransaction } from "../../stun/client-transaction.ts";
import { ErrorCode, MessageClass, Method } from "../../stun/registry.ts";
import { StunView } from "../../stun/view.ts";
import { looksLikeChannelData } from "../channel-data.ts";
import { handleAllocated, handleNotAllocated, sendAllocate } from "./allocate.ts";
import { judge } from "./answers.ts";
import { prepareCredentials } from "./challenge.ts";
import { askChannel, bind, handleBound, handleChannelDue, handleNotBound, unbind } from "./channels.ts";
import type { TurnClientConfig } from "./config.ts";
import { type Failure, ownFailure, refusal } from "./failure.ts";
import { connect, end, lose, retry } from "./loss.ts";
import { type Framing, frame, handleChannelData, handleData } from "./media.ts";
import type { TurnClientOutput } from "./outputs.ts";
import { askPermission, handleNotPermitted, handlePermitted, permit, revoke } from "./permissions.ts";
import {
  abandonAllocate,
  handleCloseDone,
  handleExpired,
  handleKeptAlive,
  handleNotKeptAlive,
  handleNotRefreshed,
  handleRefreshed,
  sendClose,
  sendKeepalive,
  sendRefresh,
} from "./refresh.ts";
import { holdBack, inherit, isOfCredentials, renew } from "./renewal.ts";
import { type ClientDropReason, ClientState, type Due, type Incoming, type Request, type Subject } from "./state.ts";

/** A server whose nonces are stale as soon as they are given would be asked for ever. */
const MAX_CHALLENGES = 3;

export class TurnClient implements Machine<TurnClientOutput> {
  readonly #state: ClientState;
  readonly #view: StunView = new StunView();

  /** Throws `PosternError` `bad-credentials`. */
  constructor(config: TurnClientConfig, ports: Ports) {
    this.#state = new ClientState(config, ports);
  }

  /** Whether there is an allocation now. */
  get isLive(): boolean {
    return this.#state.phase === "live";
  }

  /** What was dropped, in either direction, by reason; plain numbers that only grow. */
  get drops(): Readonly<Record<ClientDropReason, number>> {
    return this.#state.drops;
  }

  /** Begins, by asking for a path. Only the first call does. */
  open(_now: Instant): void {
    if (this.#state.phase === "idle") connect(this.#state, this.#state.config.server);
  }

  /** The path that `connect` asked for is there. */
  handleConnected(now: Instant): void {
    if (this.#state.phase === "connecting") sendAllocate(this.#state, 0, now);
  }

  /** The path could not be opened, or was closed, from the other side or by the network. */
  handleDisconnected(now: Instant): void {
    const state = this.#state;
    if (state.phase === "connecting") lose(state, ownFailure("connect-failed"), now);
    else if (state.phase === "closing") handleCloseDone(state);
    else if (state.phase === "allocating" || state.phase === "live") lose(state, ownFailure("connection-lost"), now);
  }

  /**
   * Takes other credentials, asked for by `renew` or not, and goes on with them. False: there is an allocation, and it was
   * made under another user name, so that only another client can use them. Throws `PosternError` `bad-credentials`.
   */
  handleCredentials(username: string, password: string, now: Instant): boolean {
    const subjects = renew(this.#state, prepareCredentials(username, password));
    for (const subject of subjects ?? []) this.#ask(subject, 0, now);
    return subjects !== undefined;
  }

  /** There are no other credentials: what waits for them is refused. */
  handleNoCredentials(now: Instant): void {
    const { deadlines, heldBack, renewalTimer } = this.#state;
    deadlines.clear(renewalTimer);
    for (let subject = heldBack.shift(); subject !== undefined; subject = heldBack.shift()) {
      this.#refuse(subject, refusal(ErrorCode.Unauthenticated), undefined, now);
    }
  }

  /**
   * Another client, not open yet, that wants what this one has under another user name. Throws `PosternError`
   * `bad-credentials`.
   */
  successor(username: string, password: string): TurnClient {
    const { config, ports } = this.#state;
    const next = new TurnClient({ ...config, username, password, reservationToken: undefined }, ports);
    inherit(next.#state, this.#state);
    return next;
  }

  /** Whether there is an allocation with all permissions and channels that are wanted. */
  get isSettled(): boolean {
    const { channels, permissions, phase } = this.#state;
    return phase === "live" && ![...permissions, ...channels.values()].some(({ asking }) => asking);
  }

  /** Wants data from and to this IP address; its port is ignored. The event `permission` says how that went. */
  permit(peer: PeerAddress, now: Instant): void {
    this.#refuseEnded();
    permit(this.#state, peer, now);
  }

  /** Lets a permission run out, unless a channel needs it. */
  revoke(peer: PeerAddress): void {
    revoke(this.#state, peer);
  }

  /**
   * Wants a channel, and the permission, for this transport address; returns the channel's number. The event `channel`
   * says how that went. Throws `PosternError` `no-channel-left`.
   */
  bind(peer: PeerAddress, now: Instant): number {
    this.#refuseEnded();
    return bind(this.#state, peer, now);
  }

  /** Lets a channel run out; its permission stays. */
  unbind(peer: PeerAddress): void {
    unbind(this.#state, peer);
  }

  #refuseEnded(): void {
    const { phase } = this.#state;
    if (phase === "ended" || phase === "closing") {
      throw new PosternError("closed", "This allocation has ended: make a new one.");
    }
  }

  /**
   * How `data` gets to `peer`: behind the header of a channel, which the caller puts in front, or as a whole message.
   * Undefined: it was dropped, and counted, because there is no allocation now, or no permission.
   */
  send(peer: PeerAddress, data: Uint8Array): Framing | undefined {
    return frame(this.#state, peer, data);
  }

  /**
   * One datagram, or one frame of a stream, from the server: `data[0, length)`, borrowed. Returns where a peer's payload
   * lies in it, in an object that is valid until the next call; everything else becomes outputs.
   */
  handleServerDatagram(data: Uint8Array, length: number, now: Instant): Incoming | undefined {
    const state = this.#state;
    if (length > 0 && looksLikeChannelData(data[0] as number)) {
      return state.phase === "live" ? handleChannelData(state, data, length) : state.drop("not-allocated");
    }
    const view = this.#view;
    if (view.decode(length === data.length ? data : data.subarray(0, length)) !== undefined || view.classic) {
      return state.drop("malformed");
    }
    if (view.class === MessageClass.Indication && view.method === Method.Data) {
      return state.phase === "live" ? handleData(state, view) : state.drop("not-allocated");
    }
    const isResponse = view.class === MessageClass.Success || view.class === MessageClass.Error;
    const transaction = isResponse ? state.transactions.find(view) : undefined;
    if (transaction === undefined) return state.drop("unexpected");
    this.#handleResponse(transaction, view, now);
    return undefined;
  }

  #handleResponse(transaction: ClientTransaction<Request>, view: StunView, now: Instant): void {
    const state = this.#state;
    const request = transaction.purpose;
    const verdict = judge(state, request, view);
    if (verdict.kind === "ignored") {
      request.doubt = verdict.doubt;
      // RFC 8489 §9.2.5: over UDP the true answer may still come; over a stream there is no other.
      if (state.config.transport === "udp") return;
    }
    state.transactions.end(transaction);
    const { subject } = request;
    if (verdict.kind === "success" && request.challenge?.credentials === state.credentials) state.areUntried = false;
    if (verdict.kind === "ignored") this.#handleFailure(subject, ownFailure(verdict.doubt), undefined, now);
    else if (verdict.kind === "refused") this.#handleFailure(subject, verdict.failure, view, now);
    else if (verdict.kind === "success") this.#handleSuccess(subject, view, now);
    else if (request.challenges >= MAX_CHALLENGES) this.#handleFailure(subject, refusal(438), undefined, now);
    else {
      state.challenge = verdict.challenge;
      this.#ask(subject, request.challenges + 1, now);
    }
  }

  /** Asks, or asks again with another nonce. */
  #ask(subject: Subject, challenges: number, now: Instant): void {
    const state = this.#state;
    switch (subject.kind) {
      case "allocate":
        return sendAllocate(state, challenges, now);
      case "refresh":
        return sendRefresh(state, challenges, now);
      case "abandon":
        // A nonce was too old: nothing was allocated.
        return handleCloseDone(state);
      case "close":
        return sendClose(state, challenges, now);
      case "keepalive":
        return sendKeepalive(state, now);
      case "permission":
        return askPermission(state, subject.permission, challenges, now);
      case "channel":
        return askChannel(state, subject.channel, challenges, now);
    }
  }

  #handleSuccess(subject: Subject, view: StunView, now: Instant): void {
    const state = this.#state;
    switch (subject.kind) {
      case "allocate":
        return handleAllocated(state, view, now);
      case "refresh":
        return handleRefreshed(state, view, now);
      case "abandon":
        return sendClose(state, 0, now);
      case "close":
        return handleCloseDone(state);
      case "keepalive":
        return handleKeptAlive(state, view, now);
      case "permission":
        return handlePermitted(state, subject.permission, now);
      case "channel":
        return handleBound(state, subject.channel, now);
    }
  }

  #handleFailure(subject: Subject, failure: Failure, view: StunView | undefined, now: Instant): void {
    if (holdBack(this.#state, subject, failure, now)) return;
    if (isOfCredentials(failure)) this.#state.areUntried = false;
    this.#refuse(subject, failure, view, now);
  }

  #refuse(subject: Subject, failure: Failure, view: StunView | undefined, now: Instant): void {
    const state = this.#state;
    switch (subject.kind) {
      case "allocate":
        return handleNotAllocated(state, failure, view, now);
      case "refresh":
        return handleNotRefreshed(state, failure, now);
      case "abandon":
      case "close":
        return handleCloseDone(state);
      case "keepalive":
        return handleNotKeptAlive(state, failure, now);
      case "permission":
        return handleNotPermitted(state, subject.permission, failure, now);
      case "channel":
        return handleNotBound(state, subject.channel, failure, now);
    }
  }

  /** Ends the allocation on the server, and then the client; the event `ended` follows within seconds. */
  close(now: Instant): void {
    const state = this.#state;
    if (state.phase === "live") sendClose(state, 0, now);
    else if (state.phase === "closing") return;
    else if (!abandonAllocate(state, now)) end(state, ownFailure("closed"));
  }

  pollOutput(): TurnClientOutput | undefined {
    return this.#state.outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#state.deadlines.next;
  }

  handleTimeout(now: Instant): void {
    const { deadlines } = this.#state;
    for (let due = deadlines.popDue(now); due !== undefined; due = deadlines.popDue(now)) this.#handleDue(due, now);
  }

  #handleDue(due: Due, now: Instant): void {
    const state = this.#state;
    switch (due.kind) {
      case "transaction":
        return this.#handleTransactionDue(due, now);
      case "permission":
        return askPermission(state, due, 0, now);
      case "channel":
        return handleChannelDue(state, due, now);
      case "refresh":
        return sendRefresh(state, 0, now);
      case "expiry":
        return handleExpired(state, now);
      case "keepalive":
        return sendKeepalive(state, now);
      case "retry":
        return retry(state);
      case "renewal":
        return this.handleNoCredentials(now);
    }
  }

  #handleTransactionDue(transaction: ClientTransaction<Request>, now: Instant): void {
    const { outputs, transactions } = this.#state;
    if (transactions.handleDue(transaction, now) === "send") {
      outputs.push({ kind: "send", data: transaction.request });
      return;
    }
    const { subject, doubt } = transaction.purpose;
    // RFC 8489 §9.2.5: when all that came was discarded, that is what happened, and not silence.
    this.#handleFailure(subject, ownFailure(doubt ?? "timed-out"), undefined, now);
  }
}
