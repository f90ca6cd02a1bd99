/** The calls that there are, and what happens to them: begun or known again, ringing, answered, acknowledged, over. */
import { Deadlines } from "../base/deadlines.ts";
import { detached } from "../base/detached.ts";
import { after, type Instant, type UnixSeconds } from "../base/machine.ts";
import type { OutputQueue } from "../base/output-queue.ts";
import type { MediaRelay } from "../relay/media-relay.ts";
import type { SessionId } from "../relay/outputs.ts";
import { isSameFlow, type SipFlow } from "../sip/flow.ts";
import type { SipRequest } from "../sip/message/message.ts";
import { Call, type CallReport, type CallSide, type CallTrouble, callKey } from "./call.ts";
import { EndedCalls } from "./ended-calls.ts";
import type { EdgeOutput } from "./outputs.ts";
import type { Quotas } from "./quotas.ts";
import { hasSession } from "./session-body.ts";

/** RFC 3261 §13.3.1.4: who has answered waits 64 × T1 for the ACK, and then hangs up. */
const ACK_WITHIN = 32_000;
/** Of a call without media nobody can see whether it goes on. Its dialog does, by its token. */
const UNSEEN = 600_000;
/** Within a site media is not seen, and nobody talks for longer. */
const UNSEEN_IN_SITE = 14_400_000;
/** L6: the BYE of a call that goes past us does so, too. */
export const NOT_OBSERVED = "end not observed";

export class Calls {
  readonly #relay: MediaRelay;
  readonly #outputs: OutputQueue<EdgeOutput>;
  readonly #quotas: Quotas;
  readonly #calls: Map<string, Call> = new Map();
  readonly #sessions: Map<SessionId, Call> = new Map();
  readonly #ended: EndedCalls = new EndedCalls();
  readonly deadlines: Deadlines<Call> = new Deadlines();
  #lastNumber = 0;

  constructor(relay: MediaRelay, outputs: OutputQueue<EdgeOutput>, quotas: Quotas) {
    this.#relay = relay;
    this.#outputs = outputs;
    this.#quotas = quotas;
  }

  get size(): number {
    return this.#calls.size;
  }

  reports(): CallReport[] {
    return [...this.#calls.values()].map((call) => this.#report(call));
  }

  /** Those of the last hour, the latest last. */
  ended(now: Instant): CallReport[] {
    return this.#ended.reports(now);
  }

  all(): readonly Call[] {
    return [...this.#calls.values()];
  }

  find(callId: string, callerTag: string): Call | undefined {
    return this.#calls.get(callKey(callId, callerTag));
  }

  ofSession(session: SessionId): Call | undefined {
    return this.#sessions.get(session);
  }

  /** Undefined where that very call is there already: it came by another way too. */
  begin(invite: SipRequest, caller: CallSide, called: string, now: Instant): Call | undefined {
    const dialog = { callId: invite.callId, callerTag: invite.fromTag ?? "", hasOffer: hasSession(invite) };
    const call = new Call(++this.#lastNumber, dialog, caller, called, now);
    if (this.#calls.has(call.key)) return undefined;
    this.#calls.set(call.key, call);
    this.#quotas.hold(call);
    this.#tell("started", call);
    return call;
  }

  /**
   * A call that began before a restart, and whose sides a token has told: `callee` is who has answered it. It is told of
   * when what is asked in it now is answered. Undefined where it is known to be over.
   */
  resume(
    dialog: { readonly callId: string; readonly callerTag: string; readonly calleeTag: string },
    sides: { readonly caller: CallSide; readonly callee: CallSide; readonly called: string },
    resumedAt: UnixSeconds,
    now: Instant,
  ): Call | undefined {
    const { callId, callerTag, calleeTag } = dialog;
    if (this.#ended.isHungUp(callKey(callId, callerTag))) return undefined;
    const known = { callId, callerTag, hasOffer: true, resumedAt };
    const call = new Call(++this.#lastNumber, known, sides.caller, sides.called, now);
    call.tried.push(sides.callee);
    call.callees.set(detached(calleeTag), sides.callee);
    this.#calls.set(call.key, call);
    this.#quotas.hold(call);
    if (sides.callee.trunk !== undefined) this.#quotas.hold(call, sides.callee.trunk);
    return call;
  }

  /** What was asked in it was refused, so that nothing is known of it but what its token says. */
  forget(call: Call): void {
    call.state = "ended";
    this.#close(call);
  }

  noteSession(call: Call, session: SessionId): void {
    call.session = session;
    this.#sessions.set(session, call);
  }

  ring(call: Call): void {
    if (call.state !== "calling") return;
    call.state = "ringing";
    this.#tell("ringing", call);
  }

  answer(call: Call, callee: CallSide, now: Instant): void {
    call.answers.add(callee);
    if (call.state !== "calling" && call.state !== "ringing") return;
    call.state = "answered";
    call.answeredAt = now;
    call.answeredBy = callee;
    this.deadlines.set(call, after(now, ACK_WITHIN));
    this.freeUnwanted(call);
    this.#tell("answered", call);
    if (call.isDirect) this.end(call, NOT_OBSERVED, now);
  }

  /** Within a site nothing is relayed: what was, for other phones that rang, is wanted no more once none of them has a leg. */
  freeUnwanted(call: Call): void {
    if (call.session === undefined || call.answeredBy?.site === undefined) return;
    if (call.tried.some(({ leg }) => leg !== undefined)) return;
    this.#relay.closeSession(call.session);
    this.#sessions.delete(call.session);
    call.session = undefined;
    call.caller.leg = undefined;
    // Where its ACK was here before, nothing else would tell that it is over.
    if (call.state === "acknowledged") this.deadlines.set(call, lastOf(call));
  }

  /** A later INVITE of the call was answered, too; `by`: who has sent it. */
  expectAck(call: Call, by: CallSide, now: Instant): void {
    call.acknowledger = by;
    if (call.state !== "acknowledged") return;
    call.state = "answered";
    this.deadlines.set(call, after(now, ACK_WITHIN));
  }

  acknowledge(call: Call): void {
    if (call.state !== "answered") return;
    call.state = "acknowledged";
    if (call.session !== undefined) this.deadlines.clear(call);
  }

  /**
   * RFC 3261 §13.2.2.4: the dialog with `callee` is over. Where another phone has answered too it is that one's call from
   * now on; where others still ring, theirs. `at`: when it was hung up, which a phone that is gone never answers.
   */
  hangUp(call: Call, callee: CallSide, why: string, at: Instant, now: Instant): void {
    call.answers.delete(callee);
    const next = call.answers.values().next().value;
    // Its record keeps who it was with.
    if (!call.has(callee) || (next === undefined && call.answeredAt !== undefined)) {
      return this.#end(call, why, true, now, at);
    }
    if (call.answeredBy === callee) call.answeredBy = next;
    const { answeredBy, caller } = call;
    if (callee.leg !== undefined) this.#relay.closeLeg(callee.leg);
    callee.leg = undefined;
    if (caller.leg !== undefined && answeredBy?.leg !== undefined) this.#relay.confirm(caller.leg, answeredBy.leg, now);
    this.freeUnwanted(call);
  }

  end(call: Call, why: string, now: Instant): void {
    this.#end(call, why, false, now);
  }

  /** Ended by us: nothing that a side still asks in it makes it known again. */
  cut(call: Call, why: string, now: Instant): void {
    this.#end(call, why, true, now);
  }

  #end(call: Call, why: string, isHungUp: boolean, now: Instant, at: Instant = now): void {
    if (call.state === "ended") return;
    call.state = "ended";
    call.endedAt = Math.max(at, call.answeredAt ?? at) as Instant;
    call.end = why;
    this.#close(call);
    this.#ended.forget(now);
    this.#ended.add(call, this.#report(call), isHungUp, now);
    this.#tell("ended", call);
  }

  #close(call: Call): void {
    this.deadlines.clear(call);
    this.#quotas.release(call);
    if (call.owned !== undefined) call.owned.by = { kind: call.isDirect ? "untouched" : "plain" };
    if (call.session !== undefined) {
      call.media = this.#relay.closeSession(call.session);
      this.#sessions.delete(call.session);
      call.session = undefined;
    }
    if (this.#calls.get(call.key) === call) this.#calls.delete(call.key);
  }

  /** `name`: whose it is, where it is one side's. */
  trouble(call: Call, what: CallTrouble, now: Instant, name?: string): void {
    if (call.state === "ended") return;
    if (call.note(what, name, now) !== undefined) this.#tellTrouble(call, what, name);
  }

  /** The connection that phones were reached by is closed. */
  handleFlowLost(flow: SipFlow, now: Instant): void {
    for (const [call, side] of this.#at(flow)) {
      const isOver = side !== call.caller && call.answeredBy !== undefined && !call.answers.has(side);
      const lost = isOver ? undefined : call.note("flow-lost", side.name, now);
      if (lost === undefined) continue;
      side.lost = lost;
      this.#tellTrouble(call, "flow-lost", side.name);
    }
  }

  /**
   * A user's phone is elsewhere from now on: what is sent to it goes there, and its media may come from there. Whose NAT has
   * given another's place to it takes nothing along of that one's.
   */
  handleMoved(user: string, was: SipFlow, flow: SipFlow): void {
    for (const [, side] of this.#at(was))
      if (side.trunk === undefined && side.name === user) this.move(side, flow, false);
  }

  /** The sides that are reached so. */
  *#at(flow: SipFlow): Iterable<readonly [Call, CallSide]> {
    for (const call of this.#calls.values()) {
      if (isSameFlow(call.caller.flow, flow)) yield [call, call.caller];
      for (const side of call.tried) if (isSameFlow(side.flow, flow)) yield [call, side];
    }
  }

  /** `isProxied`: by another proxy's flow, which proves nothing of its media. */
  move(side: CallSide, flow: SipFlow, isProxied: boolean): void {
    side.flow = flow;
    side.isProxied = isProxied;
    if (side.lost !== undefined) side.lost.isOver = true;
    side.lost = undefined;
    if (side.leg !== undefined && side.trunk === undefined && !isProxied)
      this.#relay.handleFlowChanged(side.leg, flow.remote);
  }

  handleTimeout(now: Instant): void {
    for (let call = this.deadlines.popDue(now); call !== undefined; call = this.deadlines.popDue(now)) {
      const isInSite = call.answeredBy?.site !== undefined;
      const last = lastOf(call);
      if (call.state === "answered" && now < last) {
        this.trouble(call, "never-acknowledged", now, call.acknowledger.name);
      }
      if (call.session === undefined && now < last) this.deadlines.set(call, last);
      else if (call.session === undefined) this.end(call, isInSite ? NOT_OBSERVED : "without media", now);
    }
  }

  #tell(what: "started" | "ringing" | "answered" | "ended", call: Call): void {
    this.#outputs.push({ kind: "event", event: { type: "call", what, call: this.#report(call) } });
  }

  #tellTrouble(call: Call, what: CallTrouble, name: string | undefined): void {
    this.#outputs.push({ kind: "event", event: { type: "trouble", what, name, call: this.#report(call) } });
  }

  #report(call: Call): CallReport {
    return call.report(call.session === undefined ? undefined : this.#relay.report(call.session));
  }
}

/** Until when a call that was answered may go on without media here. */
function lastOf({ answeredBy, answeredAt, startedAt }: Call): Instant {
  return after(answeredAt ?? startedAt, answeredBy?.site === undefined ? UNSEEN : UNSEEN_IN_SITE);
}
