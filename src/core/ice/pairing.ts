/** Candidates of the peer, the pairs that they form, and the bounds of both (RFC 8445 §6.1.2, RFC 8838 §10). */
import { type Address, copyAddress, sameAddress, sameIp } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import type { Base } from "./base.ts";
import { type Candidate, isHidden, type LocalCandidate, type RemoteCandidate } from "./candidate.ts";
import type { Checklist } from "./checklist.ts";
import { endCheck, failPair } from "./failing.ts";
import { wake } from "./pacing.ts";
import { CandidatePair } from "./pair.ts";
import { mayReach } from "./reachable.ts";
import type { AgentState } from "./state.ts";

/** RFC 8445 §6.1.2.2: a pair is of one component and family. */
function fits(base: Base, { component, address }: RemoteCandidate): boolean {
  return base.component === component && mayReach(base, address);
}

/** The candidate that a base itself is; undefined: none of it is to be used. */
function candidateOf(state: AgentState, base: Base): LocalCandidate | undefined {
  return state.locals.find((one) => one.base === base && (one.type === "host" || one.type === "relay"));
}

export function pairUpBase(state: AgentState, base: Base, now: Instant): void {
  const list = base.stream.current;
  for (const remote of list?.remotes ?? []) addPair(state, list as Checklist, base, remote, now);
}

export function addPair(
  state: AgentState,
  list: Checklist,
  base: Base,
  remote: RemoteCandidate,
  now: Instant,
): CandidatePair | undefined {
  const local = candidateOf(state, base);
  if (local === undefined || !fits(base, remote)) return undefined;
  const pair = new CandidatePair(list, local, remote, state.isControlling);
  if (!makeRoom(state, pair)) return undefined;
  pair.state = firstState(state, pair);
  list.pairs.push(pair);
  list.sort();
  list.isFailed = false;
  askPermission(state, pair, now);
  wake(state, now);
  return pair;
}

/** RFC 8838 §12: a new pair waits unless another of its foundation is on its way to say whether that is worth it. */
function firstState(state: AgentState, pair: CandidatePair): "waiting" | "frozen" {
  const alike = state.lists.flatMap(({ pairs }) => pairs).filter(({ foundation }) => foundation === pair.foundation);
  if (alike.some((other) => other.state === "succeeded")) return "waiting";
  return alike.some((other) => other.state !== "failed") ? "frozen" : "waiting";
}

/** RFC 8445 §6.1.2.5: beyond the limit the worst pair goes, unless it is in use. */
function makeRoom(state: AgentState, pair: CandidatePair): boolean {
  const all = state.lists.flatMap(({ pairs }) => pairs);
  if (all.length < state.config.maxPairs) return true;
  const idle = all.filter((one) => one.state !== "succeeded" && !one.isNominating);
  const rank = (one: CandidatePair): bigint => (one.state === "failed" ? -1n : one.priority);
  const worst = idle.reduce<CandidatePair | undefined>(
    (least, one) => (least === undefined || rank(one) < rank(least) ? one : least),
    undefined,
  );
  if (worst === undefined || rank(worst) >= pair.priority) return false;
  endCheck(state, worst);
  worst.list.remove(worst);
  return true;
}

/**
 * RFC 8656 §9: a relay sends to nobody without a permission, so it is asked for before the check. None is taken back: a
 * peer that tells ever new addresses gets as many as are worth having.
 */
function askPermission(state: AgentState, pair: CandidatePair, now: Instant): void {
  const { base, remoteAddress } = pair;
  if (base.kind === "host" || base.permission(remoteAddress) !== undefined) return;
  if (base.permissions.length >= 2 * state.config.maxRemoteCandidates) {
    return failPair(state, pair, "permission-refused");
  }
  const peer = copyAddress(remoteAddress);
  base.permissions.push({ peer, state: "asked", why: "", askedAt: now });
  state.outputs.push({ kind: "permit", base: base.id, peer });
}

/** What the peer tells of one of its candidates. */
export function addRemote(state: AgentState, list: Checklist, told: Candidate, now: Instant): void {
  const { foundation, component, priority, type } = told;
  const address = copyAddress(told.address);
  const known = list.remoteAt(component, address);
  const isSpare = list.remotes.some((other) => other !== known && isOfOneSocket(other, told));
  const { related } = told;
  const remote: RemoteCandidate = { foundation, component, priority, type, address, related, isTold: true, isSpare };
  if (known !== undefined) return replaceRemote(state, list, known, remote);
  if (!keepRemote(state, list, remote)) return;
  for (const base of state.bases.values()) if (base.stream === list.stream) addPair(state, list, base, remote, now);
}

/** Enough to tell what is wrong. */
const MAX_NAME_FAILURES = 20;

export function noteNameFailure({ nameFailures }: Checklist, why: string): void {
  if (nameFailures.length < MAX_NAME_FAILURES && !nameFailures.includes(why)) nameFailures.push(why);
}

/** Several servers have seen one socket at several ports of its NAT. */
function isOfOneSocket(one: Candidate, other: Candidate): boolean {
  return (
    one.type === "srflx" &&
    other.type === "srflx" &&
    one.component === other.component &&
    one.related !== undefined &&
    other.related !== undefined &&
    !isHidden(one.related) &&
    sameAddress(one.related, other.related) &&
    sameIp(one.address, other.address)
  );
}

/**
 * RFC 8838 §11.4: of two that are alike the one with the higher priority stays; but one that a check has shown was only
 * guessed at, and becomes what the peer says.
 */
function replaceRemote(state: AgentState, list: Checklist, known: RemoteCandidate, remote: RemoteCandidate): void {
  if (known.isTold && known.priority >= remote.priority) return;
  list.remotes[list.remotes.indexOf(known)] = remote;
  for (const pair of list.pairs.filter((one) => one.remote === known)) {
    pair.remote = remote;
    pair.weigh(state.isControlling);
  }
  list.sort();
}

/** Beyond the limit the worst one goes that no pair in use needs. */
function keepRemote(state: AgentState, list: Checklist, remote: RemoteCandidate): boolean {
  const { remotes, pairs } = list;
  if (remotes.length >= state.config.maxRemoteCandidates) {
    const inUse = new Set(pairs.filter(({ isHeard, isValid }) => isHeard || isValid).map((pair) => pair.remote));
    const idle = remotes.filter((one) => !inUse.has(one)).sort((a, b) => a.priority - b.priority);
    const [worst] = idle;
    if (worst === undefined || worst.priority >= remote.priority) return false;
    remotes.splice(remotes.indexOf(worst), 1);
    for (const pair of pairs.filter((one) => one.remote === worst)) {
      endCheck(state, pair);
      list.remove(pair);
    }
  }
  remotes.push(remote);
  return true;
}

/** RFC 8445 §7.3.1.3: where a check came from that nobody has told of is a peer-reflexive candidate. */
export function learnRemote(
  state: AgentState,
  list: Checklist,
  component: number,
  from: Readonly<Address>,
  priority: number,
): RemoteCandidate | undefined {
  const known = list.remoteAt(component, from);
  if (known !== undefined) return known;
  const remote: RemoteCandidate = {
    // A foundation is of letters, digits, + and /: this one is like no other, told or not.
    foundation: `prflx/${list.remotes.length}/${from.port}`,
    component,
    priority,
    address: copyAddress(from),
    type: "prflx",
    related: undefined,
    isTold: false,
    isSpare: false,
  };
  return keepRemote(state, list, remote) ? remote : undefined;
}
