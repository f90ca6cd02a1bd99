/**
 * The ICE agent (RFC 8445), pure. This file dispatches; each procedure has its own. One agent connects the streams of one
 * session with one peer: its caller gives it sockets and allocations, exchanges descriptions and candidates with the peer,
 * and sends data by the route that the agent names.
 */
import type { Address } from "../base/address.ts";
import { PosternError } from "../base/failure.ts";
import type { Instant, Machine } from "../base/machine.ts";
import type { Ports } from "../base/ports.ts";
import { MessageClass, Method } from "../stun/registry.ts";
import { StunView } from "../stun/view.ts";
import { failRelay, grantPermission, loseBase, refusePermission } from "./addresses.ts";
import { handleRequest } from "./answers.ts";
import type { Base, BaseId } from "./base.ts";
import type { Candidate } from "./candidate.ts";
import type { Checklist } from "./checklist.ts";
import { handleCheckAnswer } from "./checks.ts";
import { DEFAULT_ICE_CONFIG, type IceConfig, type IceRole } from "./config.ts";
import { handleConsentAnswer } from "./consent.ts";
import type { IceCredentials } from "./credentials.ts";
import { handleDue } from "./due.ts";
import {
  addHosts,
  addRelay,
  type HostBase,
  handleQueryAnswer,
  type RelayBase,
  refuseTaken,
  startGathering,
} from "./gathering.ts";
import { handleProbeAnswer } from "./hard-nat/probe.ts";
import { doWithout, forgetSocket, takeSocket } from "./hard-nat/sockets.ts";
import { isStun, isValidated, routeOf } from "./media.ts";
import type { IceOutput, IceState, Path } from "./outputs.ts";
import type { Route } from "./pair.ts";
import { addRemote, noteNameFailure } from "./pairing.ts";
import { type IceReport, reportOf } from "./report.ts";
import { beginLists, describe, forget, type RemoteDescription, restart } from "./restart.ts";
import { pathOf } from "./selection.ts";
import { settle } from "./settling.ts";
import { AgentState, type IceDropReason } from "./state.ts";

export class IceAgent implements Machine<IceOutput> {
  readonly #state: AgentState;
  readonly #view: StunView = new StunView();

  constructor(config: Partial<IceConfig>, ports: Ports) {
    this.#state = new AgentState({ ...DEFAULT_ICE_CONFIG, ...config }, ports);
  }

  get role(): IceRole {
    return this.#state.role;
  }

  get state(): IceState {
    return this.#state.told;
  }

  /** What was dropped, by reason; plain numbers that only grow. */
  get drops(): Readonly<Record<IceDropReason, number>> {
    return this.#state.drops;
  }

  /** What to tell the peer in a description; undefined before `gather`. */
  get credentials(): IceCredentials | undefined {
    const local = this.#state.lists[0]?.local;
    return local && { ufrag: local.ufrag, password: local.password };
  }

  /** What is known of a stream. */
  report(stream: number): IceReport | undefined {
    const { current } = this.#state.stream(stream);
    return current && reportOf(this.#state, current);
  }

  /**
   * The selected path, as it is known now; undefined: there is none. What was taken for direct shows to be relayed when the
   * peer tells of the candidate only after its check has come.
   */
  path(stream: number, component: number): Path | undefined {
    const { checklists } = this.#state.stream(stream);
    const listed = checklists.flatMap(({ components }) => components).filter(({ id }) => id === component);
    const selected = listed.find((one) => one.selected !== undefined)?.selected;
    return selected && pathOf(selected);
  }

  /**
   * Begins, with sockets in order of preference, one for each address and component. Events bring the credentials, the
   * candidates, and `gathered` when there will be no more. Throws `PosternError` `base-taken`, `no-such-stream`,
   * `no-such-component`, `gathering`.
   */
  gather(hosts: readonly HostBase[], now: Instant): void {
    const state = this.#state;
    this.#refuseClosed();
    if (state.gathering !== "idle") throw new PosternError("gathering", "Call `gather` once; then add sockets.");
    state.gathering = "running";
    beginLists(state, "first", now);
    addHosts(state, hosts, now);
    startGathering(state, now);
    this.#settle(now);
  }

  /** The host has another address: a socket on it. Its candidates are told while gathering goes on; it is used at once. */
  handleAddressAdded(host: HostBase, now: Instant): void {
    this.#refuseClosed();
    addHosts(this.#state, [host], now);
    this.#settle(now);
  }

  /** The socket or the allocation is gone. */
  handleAddressLost(base: BaseId, now: Instant): void {
    forgetSocket(this.#state, base);
    loseBase(this.#state, base, now);
    this.#settle(now);
  }

  /** An allocation is being asked for: gathering waits for it, within the budget. Before `gather`, or while it runs. */
  handleRelayPending(base: BaseId, stream: number, component: number): void {
    this.#refuseClosed();
    refuseTaken(this.#state, { base, stream, component });
    this.#state.pendingRelays.add(base);
  }

  handleRelayed(relay: RelayBase, now: Instant): void {
    if (this.#state.isClosed) return;
    addRelay(this.#state, relay, now);
    this.#settle(now);
  }

  /** There is no allocation. `why`: a sentence. */
  handleRelayFailed(base: BaseId, why: string, now: Instant): void {
    failRelay(this.#state, base, why);
    this.#settle(now);
  }

  /** The answer to `permit`. */
  handlePermitted(base: BaseId, peer: Readonly<Address>, now: Instant): void {
    grantPermission(this.#state, base, peer, now);
    this.#settle(now);
  }

  /** The answer to `permit`. `why`: a sentence. */
  handleNotPermitted(base: BaseId, peer: Readonly<Address>, why: string, now: Instant): void {
    refusePermission(this.#state, base, peer, why);
    this.#settle(now);
  }

  /** The answer to `openSocket`. Throws `PosternError` `base-taken`. */
  handleSocketOpened(like: BaseId, base: BaseId, address: Readonly<Address>, now: Instant): void {
    takeSocket(this.#state, like, base, address);
    this.#settle(now);
  }

  /** The answer to `openSocket`, where there is no descriptor left. */
  handleSocketFailed(like: BaseId, now: Instant): void {
    doWithout(this.#state, like);
    this.#settle(now);
  }

  /**
   * The peer's credentials for a stream. Other ones than before are a restart: the event `credentials` brings those to
   * answer with. Throws `PosternError` `bad-ice-credentials`, `no-such-stream`, `not-gathering`.
   */
  handleRemoteDescription(stream: number, told: RemoteDescription, now: Instant): void {
    this.#refuseClosed();
    this.#list(stream);
    describe(this.#state, this.#state.stream(stream), told, now);
    this.#settle(now);
  }

  /**
   * A candidate of the peer's, told at first or later. `ufrag`: of which description it is; one of another than the
   * current is ignored (RFC 8838 §11.3).
   */
  handleRemoteCandidate(stream: number, candidate: Candidate, now: Instant, ufrag?: string): void {
    this.#refuseClosed();
    const list = this.#list(stream);
    if (ufrag !== undefined && list.remote !== undefined && list.remote.ufrag !== ufrag) return;
    addRemote(this.#state, list, candidate, now);
    this.#settle(now);
  }

  /**
   * A candidate of the peer's has a name, and no address was found for it. `why`: a sentence. `ufrag`: as with
   * `handleRemoteCandidate`.
   */
  handleRemoteNameFailed(stream: number, why: string, now: Instant, ufrag?: string): void {
    const list = this.#list(stream);
    if (ufrag !== undefined && list.remote !== undefined && list.remote.ufrag !== ufrag) return;
    noteNameFailure(list, why);
    this.#settle(now);
  }

  /** The peer has no more candidates (RFC 8838 §14). */
  handleEndOfCandidates(stream: number, now: Instant): void {
    this.#refuseClosed();
    this.#list(stream).remoteEnded = true;
    this.#settle(now);
  }

  /** New credentials, and everything from the beginning; the path in use stays in use until a new one carries. */
  restart(now: Instant): void {
    this.#refuseClosed();
    this.#list(0);
    restart(this.#state, "own", now);
    this.#settle(now);
  }

  /** Which way `data` of the application goes; undefined: there is none. The result is valid until the next input. */
  send(stream: number, component: number, data: Uint8Array): Route | undefined {
    return routeOf(this.#state.stream(stream), component, data.length);
  }

  /**
   * One datagram that arrived at `base`; through a relay, what the peer sent. Both are borrowed. Returns whether it is
   * data of the application, from a peer that has proven to be there; all else is handled, or dropped.
   */
  handleDatagram(id: BaseId, from: Readonly<Address>, data: Uint8Array, now: Instant): boolean {
    const state = this.#state;
    const base = state.bases.get(id) ?? state.hardNats.sockets.get(id);
    if (base === undefined || state.isClosed) return state.drop("unknown-base");
    if (!isStun(data)) return isValidated(state, base, from);
    const view = this.#view;
    if (view.decode(data) !== undefined || view.method !== Method.Binding) return state.drop("malformed");
    if (view.class === MessageClass.Request) handleRequest(state, base, from, view, now);
    else if (view.class !== MessageClass.Indication) this.#handleResponse(base, from, view, now);
    this.#settle(now);
    return false;
  }

  #handleResponse(base: Base, from: Readonly<Address>, view: StunView, now: Instant): void {
    const state = this.#state;
    const transaction = state.transactions.find(view);
    if (transaction === undefined) {
      if (!handleProbeAnswer(state, base, from, view, now)) state.drop("unexpected");
      return;
    }
    const { purpose } = transaction;
    if (purpose.kind === "gather") handleQueryAnswer(state, transaction, purpose, base, from, view, now);
    else if (purpose.kind === "consent") handleConsentAnswer(state, transaction, purpose, base, from, view, now);
    else handleCheckAnswer(state, transaction, purpose, base, from, view, now);
  }

  #refuseClosed(): void {
    if (this.#state.isClosed) throw new PosternError("closed", "This agent is closed: make a new one.");
  }

  #list(stream: number): Checklist {
    const { current } = this.#state.stream(stream);
    if (current === undefined) throw new PosternError("not-gathering", "Call `gather` first.");
    return current;
  }

  /** Ends everything at once; nothing more is sent. The caller closes sockets and allocations. */
  close(_now: Instant): void {
    const state = this.#state;
    if (state.isClosed) return;
    state.isClosed = true;
    state.gathering = "done";
    for (const transaction of [...state.transactions.open]) state.transactions.end(transaction);
    for (const { checklists, routes } of state.streams) {
      for (const list of checklists) forget(state, list);
      routes.length = 0;
    }
    for (const timer of [state.paceTimer, state.nominateTimer, state.budgetTimer, state.keepaliveTimer]) {
      state.deadlines.clear(timer);
    }
    state.deadlines.clear(state.hardNats.timer);
    state.told = "closed";
    state.tell({ type: "state", state: "closed", reason: undefined });
  }

  pollOutput(): IceOutput | undefined {
    return this.#state.outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#state.deadlines.next;
  }

  handleTimeout(now: Instant): void {
    const { deadlines } = this.#state;
    if (deadlines.next === undefined || deadlines.next > now) return;
    this.#settle(now);
  }

  /** Does what is due, and draws the conclusions, until nothing is left to do now. */
  #settle(now: Instant): void {
    const state = this.#state;
    const { deadlines } = state;
    settle(state, now);
    for (let due = deadlines.popDue(now); due !== undefined; due = deadlines.popDue(now)) {
      handleDue(state, due, now);
      settle(state, now);
    }
  }
}
