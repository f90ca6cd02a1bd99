/**
 * The media relay as one machine: calls, their parties (legs), and the sockets between them. Signaling opens a call, hands
 * in each description and gets the one to forward; the driver opens sockets and hands in packets.
 */

import type { Address } from "../base/address.ts";
import { PosternError } from "../base/failure.ts";
import { after, type Instant, type Machine } from "../base/machine.ts";
import type { Ports } from "../base/ports.ts";
import type { RelayAddress } from "../base/relay-places.ts";
import { isHeld } from "../call/description.ts";
import { closeUnagreed, flowChanged, link, trim, unlink } from "./agreement.ts";
import { isCarried } from "./carried.ts";
import { type MediaRelayConfig, UNSEEN_TIMEOUT_MS } from "./config.ts";
import { type DescriptionRequest, describe, refuseFor, refuseOf, settle } from "./describe.ts";
import { Leg, type LegParty, Session } from "./leg.ts";
import { handlePacket, handleSpent } from "./media.ts";
import type { LegId, MediaRelayOutput, PortId, Route, SessionId } from "./outputs.ts";
import { closePort, portBound, portFailed } from "./port-pairs.ts";
import { reportOf, type SessionReport } from "./report.ts";
import { type MediaRelayStats, RelayState } from "./state.ts";

export class MediaRelay implements Machine<MediaRelayOutput> {
  readonly #state: RelayState;

  constructor(config: MediaRelayConfig, ports: Pick<Ports, "random" | "crypto">) {
    this.#state = new RelayState(config, ports);
  }

  get stats(): Readonly<MediaRelayStats> {
    return this.#state.stats;
  }

  /** A call begins. `owner`: whose quota it counts against. A word instead of a number: which quota is used up. */
  openSession(owner: string, now: Instant): SessionId | "sessions" | "owner" {
    const { sessions, owners, config, stats } = this.#state;
    const held = owners.get(owner) ?? 0;
    if (sessions.size >= config.quotas.sessions) return "sessions";
    if (held >= config.quotas.sessionsPerOwner) return "owner";
    owners.set(owner, held + 1);
    const session = new Session(this.#state.nextId() as SessionId, owner, now);
    sessions.set(session.id, session);
    stats.sessions++;
    stats.sessionsTotal++;
    this.#state.deadlines.set(session, after(now, config.setupTimeout));
    return session.id;
  }

  /** A party of it: the caller, and one for every phone that is called. */
  addLeg(session: SessionId, party: LegParty): LegId | "legs" {
    const state = this.#state;
    const call = state.sessions.get(session);
    if (call === undefined) throw new PosternError("no-such-session", "Add legs before the session is closed.");
    if (call.legs.length >= state.config.quotas.legsPerSession) return "legs";
    const place = state.places.choose(party.family ?? party.local.family, party.local);
    const leg = new Leg(state.nextId() as LegId, call, party, place);
    call.legs.push(leg);
    state.legs.set(leg.id, leg);
    return leg.id;
  }

  /**
   * A description that `from` has sent, authenticated, to be forwarded to `to`. The output `described` or `undescribed`
   * follows, at once or when the sockets are open. Throws `PosternError` `not-two-parties`.
   */
  describe(request: DescriptionRequest, now: Instant): void {
    describe(this.#state, request, now);
  }

  /** The last offer of `from` was refused by `to`, by an error response say: what they had said before goes on. */
  withdrawOffer(from: LegId, to: LegId): void {
    const [party, other] = [this.#state.legs.get(from), this.#state.legs.get(to)];
    if (party === undefined || other === undefined) return;
    const said = party.saidTo(other);
    said.offer = said.before;
    said.before = undefined;
    closeUnagreed(this.#state, other, party);
  }

  /**
   * It is settled that these two speak: the call was answered with a final response. A second phone that answers changes
   * nothing as long as the first has its leg: close that, and confirm again, when the caller prefers the second.
   */
  confirm(caller: LegId, callee: LegId, now: Instant): void {
    const [a, b] = [this.#state.legs.get(caller), this.#state.legs.get(callee)];
    if (a === undefined || b === undefined || a.session !== b.session) return;
    const { session } = a;
    if (session.isConfirmed && a.opposite !== undefined) return;
    session.isConfirmed = true;
    session.mediaAt = now;
    link(this.#state, a, b);
    trim(this.#state, session);
    this.#state.deadlines.set(session, after(now, this.#state.config.mediaTimeout));
  }

  /** The party's signaling comes from elsewhere now: it may be learned anew. */
  handleFlowChanged(leg: LegId, proven: Readonly<Address>): void {
    const found = this.#state.legs.get(leg);
    if (found !== undefined) flowChanged(this.#state, found, { ...found.party, proven });
  }

  /** A phone that is not wanted any more: its sockets are free at once. */
  closeLeg(leg: LegId): void {
    const state = this.#state;
    const found = state.legs.get(leg);
    if (found === undefined) return;
    const { session } = found;
    unlink(found);
    refuseOf(state, found);
    for (const { media, control } of found.streams) {
      closePort(state, media);
      closePort(state, control);
    }
    session.legs.splice(session.legs.indexOf(found), 1);
    for (const other of session.legs) other.said.delete(found);
    state.legs.delete(leg);
  }

  /**
   * The call has ended. The report of what it was, complete once the outputs are carried out; undefined when it has ended
   * before.
   */
  closeSession(session: SessionId): SessionReport | undefined {
    const state = this.#state;
    const call = state.sessions.get(session);
    if (call === undefined) return undefined;
    const report = reportOf(call);
    // What a datapath has forwarded meanwhile is told when it gives the flows back.
    call.record = report;
    for (const { id } of [...call.legs]) this.closeLeg(id);
    state.sessions.delete(session);
    state.deadlines.clear(call);
    state.stats.sessions--;
    const left = (state.owners.get(call.owner) ?? 1) - 1;
    if (left > 0) state.owners.set(call.owner, left);
    else state.owners.delete(call.owner);
    return report;
  }

  /** Where the party hears its stream, for a service that speaks to it; undefined before that is known. */
  routeTo(leg: LegId, stream: number): Route | undefined {
    return this.#state.legs.get(leg)?.streams[stream]?.media.route;
  }

  report(session: SessionId): SessionReport | undefined {
    const call = this.#state.sessions.get(session);
    return call === undefined ? undefined : reportOf(call);
  }

  reports(): SessionReport[] {
    return [...this.#state.sessions.values()].map(reportOf);
  }

  /** Addresses for calls to come; those that stay keep their ports. `own`: every address of the host. */
  handleAddresses(addresses: readonly RelayAddress[], own: readonly Readonly<Address>[]): void {
    this.#state.places.setAddresses(addresses);
    this.#state.ownAddresses = own;
  }

  handlePortBound(port: PortId, now: Instant): void {
    const stream = portBound(this.#state, port);
    if (stream !== undefined) settle(this.#state, stream.leg.session, now);
  }

  /** `busy`: the port is somebody else's; `exhausted`: there is no descriptor or memory; `gone`: the address is not ours. */
  handlePortFailed(port: PortId, why: "busy" | "exhausted" | "gone"): void {
    const failed = portFailed(this.#state, port, why);
    if (failed !== undefined) refuseFor(this.#state, failed.stream, failed.refusal);
  }

  /** One datagram at one of the relay's sockets: `data[0, length)`, borrowed. Where it goes; undefined: nowhere. */
  handlePacket(
    data: Uint8Array,
    length: number,
    from: Readonly<Address>,
    port: PortId,
    now: Instant,
  ): Route | undefined {
    return handlePacket(this.#state, data, length, from, port, now);
  }

  /** One that may not go on, for it has no hops left. */
  handleSpent(port: PortId): void {
    handleSpent(this.#state, port);
  }

  /** Whether a packet has left something to be polled. */
  get hasOutput(): boolean {
    return this.#state.outputs.length > 0;
  }

  pollOutput(): MediaRelayOutput | undefined {
    return this.#state.outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#state.deadlines.next;
  }

  handleTimeout(now: Instant): void {
    const { deadlines, config } = this.#state;
    for (let due = deadlines.popDue(now); due !== undefined; due = deadlines.popDue(now)) {
      if (!due.isConfirmed) this.#state.tell({ type: "timeout", session: due.id, why: "unconfirmed" });
      else this.#checkMedia(due, now);
      const next = due.isConfirmed ? after(due.mediaAt, config.mediaTimeout) : after(now, config.setupTimeout);
      deadlines.set(due, next > now ? next : after(now, config.mediaTimeout));
    }
  }

  #checkMedia(session: Session, now: Instant): void {
    const silence = now - session.mediaAt;
    if (silence < this.#state.config.mediaTimeout) return;
    const isExpected = passesIce(session) || isOnHold(session);
    if (isExpected && silence < UNSEEN_TIMEOUT_MS) return;
    this.#state.tell({ type: "timeout", session: session.id, why: isExpected ? "unseen" : "silent" });
  }
}

/** Whether the parties may have found a way without us. */
function passesIce({ legs }: Session): boolean {
  return legs.some(({ opposite, streams }) => opposite !== undefined && streams.some(({ ice }) => ice === "passes"));
}

/** Whether nothing needs to come: every stream that is carried is held by one side or the other, or there is none. */
function isOnHold({ legs }: Session): boolean {
  const speaking = legs.filter(({ opposite }) => opposite !== undefined);
  const held = new Set<number>();
  const live = new Set<number>();
  let isAgreed = false;
  for (const { streams } of speaking) {
    for (const { description, index } of streams) {
      if (description === undefined) continue;
      isAgreed = true;
      if (!isCarried(description)) continue;
      live.add(index);
      if (isHeld(description)) held.add(index);
    }
  }
  // An offer that was never answered is no hold.
  return isAgreed && [...live].every((index) => held.has(index));
}
