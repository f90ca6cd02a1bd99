/** Checks that the peer makes (RFC 8445 §7.3): judged, answered, and taken as a reason to check the same way back. */
import { type Address, copyAddress, sameAddress, sameIp } from "../base/address.ts";
import { after, type Instant } from "../base/machine.ts";
import { hasIntegritySha1 } from "../stun/integrity.ts";
import { Attribute, ErrorCode, isComprehensionRequired, MessageClass } from "../stun/registry.ts";
import type { StunView } from "../stun/view.ts";
import type { StunWriter } from "../stun/writer.ts";
import type { Base } from "./base.ts";
import type { Checklist, EarlyCheck, ListedComponent } from "./checklist.ts";
import { cancelCheck } from "./checks.ts";
import { failPair, startOver } from "./failing.ts";
import { adopt } from "./hard-nat/sockets.ts";
import { wake } from "./pacing.ts";
import type { CandidatePair } from "./pair.ts";
import { addPair, learnRemote } from "./pairing.ts";
import { settleRoles } from "./role.ts";
import { concludeNomination, isWanted } from "./selection.ts";
import type { AgentState } from "./state.ts";

/** Two fragments of 256 characters and a colon. */
const MAX_USERNAME_BYTES = 513;
/** Checks that may wait for the description of who made them. */
const MAX_EARLY = 32;
/** Errors to strangers in one second. */
const MAX_ERRORS = 20;

const KNOWN: readonly number[] = [
  Attribute.Username,
  Attribute.Priority,
  Attribute.UseCandidate,
  Attribute.MessageIntegrity,
  Attribute.MessageIntegritySha256,
];

export function handleRequest(
  state: AgentState,
  base: Base,
  from: Readonly<Address>,
  view: StunView,
  now: Instant,
): void {
  const username = view.text(Attribute.Username, MAX_USERNAME_BYTES);
  // RFC 8489 §9.1.3: without user name or integrity it is a bad request; with wrong ones it is refused.
  if (username === undefined || !view.has(Attribute.MessageIntegrity)) {
    return refuseStranger(state, base, from, view, ErrorCode.BadRequest, now);
  }
  const [ufrag, remoteUfrag = ""] = username.split(":", 2);
  const list = base.stream.checklists.find(({ local }) => local.ufrag === ufrag);
  if (list === undefined || !hasIntegritySha1(view, state.ports.crypto, list.local.key)) {
    if (base.stream.current !== undefined) base.stream.current.unsealed++;
    return refuseStranger(state, base, from, view, ErrorCode.Unauthenticated, now);
  }
  // RFC 8489 §9.1.3: both fragments are the name. A peer that has begun anew asks for who we were, until it is told who we
  // are now: were it answered, Chromium would take that way for its best and nominate it alone, in a session that is over.
  if (list.remote !== undefined && list.remote.ufrag !== remoteUfrag) {
    return refuseStranger(state, base, from, view, ErrorCode.Unauthenticated, now);
  }
  const priority = view.u32(Attribute.Priority);
  const unknown = unknownAttributes(view);
  if (unknown.length > 0 || priority === undefined) return refuse(state, list, base, from, view, unknown);
  adopt(state, base);
  if (!settleRoles(state, view)) return refuse(state, list, base, from, view, "conflict");
  respond(state, list, base, from, view);
  const useCandidate = view.has(Attribute.UseCandidate);
  const check: EarlyCheck = { base, from, priority, useCandidate, remoteUfrag };
  if (list.remote === undefined) keepEarly(list, check);
  else takeCheck(state, list, check, now);
}

function unknownAttributes(view: StunView): number[] {
  const unknown: number[] = [];
  for (let i = 0; i < view.attributeCount; i++) {
    const type = view.typeAt(i);
    if (isComprehensionRequired(type) && !KNOWN.includes(type)) unknown.push(type);
  }
  return unknown;
}

function begin({ writer }: AgentState, view: StunView, messageClass: MessageClass): StunWriter {
  return writer.beginAnswer(view, messageClass);
}

function send(state: AgentState, base: Base, to: Readonly<Address>): void {
  const data = state.writer.fingerprint().finish();
  state.outputs.push({ kind: "send", base: base.id, to: copyAddress(to), data });
}

function respond(state: AgentState, list: Checklist, base: Base, from: Readonly<Address>, view: StunView): void {
  begin(state, view, MessageClass.Success)
    .xorAddress(Attribute.XorMappedAddress, from)
    .integritySha1(state.ports.crypto, list.local.key);
  send(state, base, from);
}

/** Refuses who has proven to know the password. */
function refuse(
  state: AgentState,
  list: Checklist,
  base: Base,
  from: Readonly<Address>,
  view: StunView,
  why: "conflict" | readonly number[],
): void {
  const writer = begin(state, view, MessageClass.Error);
  if (why === "conflict") writer.errorCode(ErrorCode.RoleConflict);
  else if (why.length === 0) writer.errorCode(ErrorCode.BadRequest);
  else writer.errorCode(ErrorCode.UnknownAttribute).u16List(Attribute.UnknownAttributes, why);
  writer.integritySha1(state.ports.crypto, list.local.key);
  send(state, base, from);
}

/** Strangers get errors that are shorter than what they sent, and few of them. */
function refuseStranger(
  state: AgentState,
  base: Base,
  from: Readonly<Address>,
  view: StunView,
  code: ErrorCode,
  now: Instant,
): void {
  state.drop("unsealed");
  if (now >= after(state.errorsSince, 1000)) {
    state.errorsSince = now;
    state.errorsLeft = MAX_ERRORS;
  }
  if (state.errorsLeft-- <= 0) return;
  const data = begin(state, view, MessageClass.Error).errorCode(code).fingerprint().finish();
  if (data.length <= view.length) state.outputs.push({ kind: "send", base: base.id, to: copyAddress(from), data });
}

function keepEarly({ early }: Checklist, check: EarlyCheck): void {
  const isSame = (one: EarlyCheck): boolean => one.base === check.base && sameAddress(one.from, check.from);
  const at = early.findIndex(isSame);
  if (at >= 0) early.splice(at, 1);
  else if (early.length >= MAX_EARLY) return;
  early.push({ ...check, from: copyAddress(check.from) });
}

/** RFC 8445 §7.3: now that the peer is known, what came before counts; but only what came from this peer. */
export function takeEarly(state: AgentState, list: Checklist, now: Instant): void {
  for (const check of list.early.splice(0)) {
    if (check.remoteUfrag === list.remote?.ufrag) takeCheck(state, list, check, now);
  }
}

function takeCheck(state: AgentState, list: Checklist, check: EarlyCheck, now: Instant): void {
  const { base, from, priority, useCandidate } = check;
  const remote = learnRemote(state, list, base.component, from, priority);
  const pair = list.find(base, from) ?? (remote && addPair(state, list, base, remote, now));
  if (pair === undefined) return;
  const sentAt = pair.isHeard ? pair.sentAt : undefined;
  pair.isHeard = true;
  if (!state.config.isLite) knockAgain(state, list.component(base.component), now);
  if (useCandidate && !state.isControlling) pair.isWished = true;
  if (state.config.isLite) {
    // RFC 8445 §7.3.2: a lite agent takes the peer's word for it.
    pair.state = "succeeded";
    pair.isValid = true;
  }
  if (!pair.isValid) {
    trigger(state, pair, now);
    // Patience with a pair begins anew when something first comes that way, and not with every repetition.
    pair.sentAt = sentAt;
    return;
  }
  if (pair.isWished && !state.isControlling) concludeNomination(state, pair, now);
}

/**
 * Where both NATs give every destination another port, each answer comes from a port that nobody has sent to, and is taken
 * for a candidate more: that has no end, and three times are proof enough.
 */
function isChase({ base, remote, list, checksSent }: CandidatePair): boolean {
  if (remote.type !== "prflx" || checksSent > 0) return false;
  const isLike = (other: CandidatePair): boolean =>
    other.base === base && other.remote.type === "prflx" && sameIp(other.remoteAddress, remote.address);
  return list.pairs.filter((other) => other.failure === "asymmetric" && isLike(other)).length >= 3;
}

/**
 * The first sign of the peer. What was sent to its NAT before has met a closed door, which by now it may have opened from
 * inside; the repetition would come half a second after the first try.
 */
function knockAgain(state: AgentState, component: ListedComponent, now: Instant): void {
  if (component.isPeerAwake) return;
  // The peer has knocked at our doors a slot before it went by a relay, and that way takes as long as a server to answer.
  const opened = now - state.serverRoundTrip - state.config.ta;
  const pairs = component.list.of(component.id);
  // To an address of ours that it has only just been told, the peer cannot have opened a door before it sent this.
  if (pairs.some(({ base }) => base.kind === "host" && base.toldAt !== undefined && base.toldAt > opened)) return;
  component.isPeerAwake = true;
  for (const pair of pairs) {
    const isReflexive = pair.remote.type === "srflx" || pair.remote.type === "prflx";
    const isOpenDoor = pair.sentAt === undefined || pair.sentAt + state.serverRoundTrip / 2 > opened;
    if (pair.state !== "in-progress" || !isReflexive || pair.isRelayed || pair.isHeard || isOpenDoor) continue;
    trigger(state, pair, now);
  }
}

/** RFC 8445 §7.3.1.4: what came through one way may come through the other, at this very moment. */
function trigger(state: AgentState, pair: CandidatePair, now: Instant): void {
  if (pair.failure === "base-lost" || !isWanted(pair)) return;
  if (isChase(pair)) return failPair(state, pair, "asymmetric");
  if (pair.state === "in-progress") cancelCheck(pair);
  startOver(state, pair);
  if (!pair.list.triggered.includes(pair)) pair.list.triggered.push(pair);
  wake(state, now);
}
