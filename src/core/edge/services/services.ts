/**
 * Numbers that answer by themselves, for users who want to hear whether they are heard: `echo` sends back what it hears,
 * `milliwatt` sends a tone. Signaling is a user agent's; media is a leg of the relay, which learns where the caller is by
 * its own rules; the other leg is none.
 */
import { Deadlines } from "../../base/deadlines.ts";
import { after, type Instant, type Machine } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import { describeSdp } from "../../call/sdp.ts";
import type { RelayEvent, SessionId } from "../../relay/outputs.ts";
import type { SdpDocument } from "../../sdp/document.ts";
import { isSameFlow, type SipFlow, type SipTarget } from "../../sip/flow.ts";
import { createResponse } from "../../sip/message/build.ts";
import type { SipRequest, SipResponse } from "../../sip/message/message.ts";
import { isSipUri } from "../../sip/message/uri.ts";
import { userOf } from "../../sip/registrar/address-of-record.ts";
import { cameThrough } from "../../sip/registrar/proxied.ts";
import type { ClientTransaction } from "../../sip/transaction/client.ts";
import type { ServerTransaction } from "../../sip/transaction/server.ts";
import type { LocalParty, UaCall } from "../../sip/ua/call.ts";
import type { UaCallEnd, UserAgentOutput } from "../../sip/ua/outputs.ts";
import { UserAgent } from "../../sip/ua/user-agent.ts";
import { readSession } from "../session-body.ts";
import { answerOf, isServiceName, offerOf, type ServiceName } from "./descriptions.ts";
import { openCall, type ServiceCaller, type ServiceParts } from "./opening.ts";
import type { ServiceCall } from "./service-call.ts";
import type { ServiceMedia } from "./tone-stream.ts";
import { Tones } from "./tones.ts";
import { Writings } from "./writings.ts";

/** At once: of all users, and of one. A few are enough to try a line. */
const MAX_CALLS = 200;
const MAX_CALLS_OF_USER = 4;
/** Nobody is left in a call with nobody: ten minutes. */
const LONGEST_CALL = 600_000;

export type ServiceOutput =
  | { readonly kind: "send"; readonly to: SipFlow | SipTarget; readonly text: string }
  | ServiceMedia;

/** As other calls' records say it. */
const WORDS: Readonly<Record<UaCallEnd, string>> = {
  "hung-up": "hung up by caller",
  ended: "hung up by callee",
  cancelled: "cancelled by caller",
  refused: "refused",
  unacknowledged: "never acknowledged",
  "no-answer": "no answer to the offer",
  lost: "the caller is gone",
};

export class Services implements Machine<ServiceOutput> {
  readonly #parts: ServiceParts;
  readonly #agent: UserAgent;
  readonly #outputs: OutputQueue<ServiceOutput> = new OutputQueue();
  readonly #ends: Deadlines<ServiceCall> = new Deadlines();
  readonly #tones: Tones<ServiceOutput>;
  readonly #writings: Writings;
  readonly #calls: Map<UaCall, ServiceCall> = new Map();
  readonly #sessions: Map<SessionId, ServiceCall> = new Map();

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#agent = new UserAgent(parts.transactions, parts.ports);
    this.#tones = new Tones(parts.relay, parts.ports.random, this.#outputs);
    this.#writings = new Writings(parts.relay);
  }

  /** Whether a request that begins something is for a service. */
  serves(request: SipRequest): boolean {
    return this.#serviceOf(request) !== undefined;
  }

  /** Whether a request belongs to a call here and comes from where that call did: then it needs no password. */
  knows(request: SipRequest, flow: SipFlow): boolean {
    const call = this.#callOf(request);
    return call !== undefined && isSameFlow(call.flow, flow);
  }

  /** A new request, by `caller`: for a service, or within one of its calls. */
  handleRequest(transaction: ServerTransaction, caller: ServiceCaller, now: Instant): void {
    const known = this.#callOf(transaction.request);
    if (known !== undefined && !this.#isFrom(known, transaction.request, caller)) {
      this.#parts.transactions.respond(transaction, createResponse(transaction.request, 481), now);
      return;
    }
    const service = known?.service ?? this.#serviceOf(transaction.request) ?? "echo";
    const sentBy = this.#parts.names.nameFor(caller.flow);
    const { transport } = caller.flow;
    const contact = `sip:${service}@${sentBy}${transport === "udp" ? "" : `;transport=${transport}`}`;
    const local: LocalParty = { address: `<${contact}>`, contact, sentBy, account: undefined };
    this.#agent.handleRequest(transaction, { local, hop: caller.flow }, now);
    this.#settle(now, caller, service);
  }

  /** False where the ACK is not of a call here. */
  handleAck(request: SipRequest, now: Instant): boolean {
    const isOurs = this.#agent.handleAck(request, now);
    this.#settle(now);
    return isOurs;
  }

  /** False where the INVITE is not for a service. */
  handleCancel(invite: ServerTransaction, now: Instant): boolean {
    const isOurs = this.#agent.handleCancel(invite, now);
    this.#settle(now);
    return isOurs;
  }

  /** False where the transaction is another's. */
  handleResponse(transaction: Pick<ClientTransaction, "owner">, response: SipResponse, now: Instant): boolean {
    const isOurs = this.#agent.handleResponse(transaction, response, now);
    this.#settle(now);
    return isOurs;
  }

  /** False where the transaction is another's. */
  handleFailed(transaction: ClientTransaction, now: Instant): boolean {
    const isOurs = this.#agent.handleFailed(transaction, now);
    this.#settle(now);
    return isOurs;
  }

  /** The relay has written a description; false where it is another's. */
  handleDescribed(request: number, document: SdpDocument, now: Instant): boolean {
    const writing = this.#writings.take(request);
    if (writing?.isOurs === true) this.#say(writing.call, document, now);
    this.#settle(now);
    return writing !== undefined;
  }

  /** It has no ports for it; false where it is another's. */
  handleUndescribed(request: number, now: Instant): boolean {
    const writing = this.#writings.take(request);
    if (writing !== undefined) this.#decline(writing.call, 503, now);
    this.#settle(now);
    return writing !== undefined;
  }

  /** False where the event is of another's call. */
  handleRelayEvent(event: RelayEvent, now: Instant): boolean {
    const call = this.#sessions.get(event.session);
    if (call !== undefined && event.type === "timeout") {
      this.#parts.calls.trouble(call.call, "no-media", now);
      this.#hangUp(call, event.why === "silent" ? "no media came" : "never answered", now);
    }
    return call !== undefined;
  }

  pollOutput(): ServiceOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    let next = this.#agent.pollTimeout();
    for (const one of [this.#ends.next, this.#tones.next]) {
      if (one !== undefined && (next === undefined || one < next)) next = one;
    }
    return next;
  }

  handleTimeout(now: Instant): void {
    this.#tones.handleTimeout(now);
    for (let due = this.#ends.popDue(now); due !== undefined; due = this.#ends.popDue(now)) {
      this.#hangUp(due, "longest duration", now);
    }
    this.#agent.handleTimeout(now);
    this.#settle(now);
  }

  #callOf(request: SipRequest): ServiceCall | undefined {
    const ua = this.#agent.callOf(request);
    return ua && this.#calls.get(ua);
  }

  /** The same user, with the password, from elsewhere: there is the phone from now on, and its media. */
  #isFrom(call: ServiceCall, request: SipRequest, { user, flow }: ServiceCaller): boolean {
    if (isSameFlow(call.flow, flow)) return true;
    if (user !== call.user) return false;
    this.#parts.calls.move(call.call.caller, flow, cameThrough(request) !== undefined);
    call.ua.hop = flow;
    return true;
  }

  #serviceOf({ uri }: SipRequest): ServiceName | undefined {
    if (!isSipUri(uri) || !this.#parts.names.isOwn(uri)) return undefined;
    const user = userOf(uri);
    return user !== undefined && isServiceName(user) ? user : undefined;
  }

  /** `caller`: who has sent the request that may be the beginning of a call. */
  #settle(now: Instant, caller?: ServiceCaller, service: ServiceName = "echo"): void {
    for (let output = this.#agent.pollOutput(); output !== undefined; output = this.#agent.pollOutput()) {
      if (output.kind === "send") this.#outputs.push(output);
      else if (output.kind !== "incoming") this.#handle(output, now);
      else if (caller !== undefined) this.#begin(output, caller, service, now);
    }
  }

  #begin(
    { call: ua, offer }: Extract<UserAgentOutput, { kind: "incoming" }>,
    caller: ServiceCaller,
    service: ServiceName,
    now: Instant,
  ): void {
    const call = this.#refusal(caller) ?? openCall(this.#parts, service, ua, caller, now);
    if (typeof call === "number") return this.#agent.refuse(ua, call, now);
    this.#calls.set(ua, call);
    this.#sessions.set(call.call.session as SessionId, call);
    this.#ends.set(call, after(now, LONGEST_CALL));
    this.#answer(call, offer, now);
  }

  #refusal({ user }: ServiceCaller): number | undefined {
    if (this.#calls.size >= MAX_CALLS) return 503;
    const own = [...this.#calls.values()].filter((one) => one.user === user);
    return own.length >= MAX_CALLS_OF_USER ? 486 : undefined;
  }

  /** To an offer, or to the wish for one. */
  #answer(call: ServiceCall, offer: string | undefined, now: Instant): void {
    const { service, flow } = call;
    if (offer === undefined) {
      call.offer = offerOf(service, flow.local);
      this.#writings.write(call, call.offer, "offer", now);
      return;
    }
    const document = readSession(offer);
    if (typeof document === "string") return this.#decline(call, 488, now);
    const description = describeSdp(document);
    const answer = answerOf(service, description, flow.local);
    if (answer === undefined) return this.#decline(call, 488, now);
    this.#writings.hear(call, document, "offer", now);
    if (!this.#writings.write(call, answer, "answer", now)) return this.#decline(call, 488, now);
    this.#tones.play(call, description, answer, "answer", now);
  }

  #say(call: ServiceCall, document: SdpDocument, now: Instant): void {
    const { calls, relay } = this.#parts;
    this.#agent.answer(call.ua, document.format(), now);
    calls.answer(call.call, call.side, now);
    if (call.offer === undefined) relay.confirm(call.phone, call.ours, now);
  }

  #decline(call: ServiceCall, status: number, now: Instant): void {
    this.#agent.refuse(call.ua, status, now);
  }

  endCallsOf(user: string, why: string, now: Instant): void {
    for (const call of [...this.#calls.values()]) if (call.user === user) this.#hangUp(call, why, now);
  }

  #hangUp(call: ServiceCall, why: string, now: Instant): void {
    call.end = why;
    call.ua.hop = call.flow;
    this.#agent.hangUp(call.ua, now);
    this.#settle(now);
  }

  #handle(output: Exclude<UserAgentOutput, { kind: "send" | "incoming" }>, now: Instant): void {
    const call = this.#calls.get(output.call);
    if (call === undefined) return;
    if (output.kind === "offered") this.#answer(call, output.offer, now);
    else if (output.kind === "agreed") this.#agree(call, output.answer, now);
    else if (output.kind === "confirmed") this.#parts.calls.acknowledge(call.call);
    else if (output.kind === "ended") this.#end(call, output.why, now);
  }

  /** The answer to our offer. */
  #agree(call: ServiceCall, answer: string, now: Instant): void {
    const { offer } = call;
    const document = readSession(answer);
    if (typeof document === "string" || offer === undefined) return this.#hangUp(call, "no description", now);
    call.offer = undefined;
    this.#writings.hear(call, document, "answer", now);
    this.#parts.relay.confirm(call.phone, call.ours, now);
    this.#tones.play(call, offer, describeSdp(document), "offer", now);
  }

  #end(call: ServiceCall, why: UaCallEnd, now: Instant): void {
    this.#tones.stop(call);
    this.#ends.clear(call);
    this.#calls.delete(call.ua);
    if (call.call.session !== undefined) this.#sessions.delete(call.call.session);
    this.#parts.calls.end(call.call, call.end ?? WORDS[why], now);
  }
}
