/** Who gets the next slot (RFC 8445 §6.1.4.2): the streams in turn, and of each triggered checks before ordinary ones. */
import { after, type Instant } from "../base/machine.ts";
import type { Checklist } from "./checklist.ts";
import { sendCheck } from "./checks.ts";
import { sendQuery } from "./gathering.ts";
import { isUnlikely } from "./likelihood.ts";
import { patienceEnds } from "./pacing.ts";
import type { CandidatePair } from "./pair.ts";
import { isWanted } from "./selection.ts";
import type { AgentState } from "./state.ts";

export function useSlot(state: AgentState, now: Instant): void {
  const pair = state.isGatherersTurn && state.queries.length > 0 ? undefined : nextCheck(state, now);
  const query = pair === undefined ? state.queries.shift() : undefined;
  if (pair !== undefined) sendCheck(state, pair, now);
  if (query !== undefined) sendQuery(state, query, now);
  if (pair === undefined && query === undefined) {
    // The slot stays free for what comes before the next look.
    if (isSomeLeft(state)) state.deadlines.set(state.paceTimer, after(now, state.config.ta));
    return;
  }
  state.isGatherersTurn = pair !== undefined;
  // RFC 8445 §14.2: transactions begin at least Ta apart, whatever they are for.
  state.nextSlot = after(now, state.config.ta);
  state.deadlines.set(state.paceTimer, state.nextSlot);
}

function isReady(pair: CandidatePair): boolean {
  return isWanted(pair) && pair.base.canReach(pair.remoteAddress);
}

/** What is frozen thaws by waiting, and what is held back is not for long. */
function isSomeLeft({ lists, config }: AgentState): boolean {
  const isLeft = (pair: CandidatePair): boolean =>
    (pair.state === "frozen" || pair.state === "waiting") && isReady(pair);
  return !config.isLite && lists.some(({ remote, pairs }) => remote && pairs.some(isLeft));
}

function nextCheck(state: AgentState, now: Instant): CandidatePair | undefined {
  const { streams, config } = state;
  if (config.isLite) return undefined;
  for (let n = 0; n < streams.length; n++) {
    const list = streams[(state.turn + n) % streams.length]?.current;
    if (list?.remote === undefined) continue;
    const pair = nextTriggered(list) ?? nextOrdinary(state, list, now);
    if (pair === undefined) continue;
    state.turn = (state.turn + n + 1) % streams.length;
    return untriedDirect(state, pair) ?? pair;
  }
  return undefined;
}

/**
 * DEVIATES RFC 8445 §6.1.4.2: before a relayed pair, even a triggered one, goes every direct pair of its component that has
 * not been tried, even a frozen one. So what comes through a relay tells the peer that this side's doors are open.
 */
function untriedDirect(
  state: AgentState,
  { isRelayed, isNominating, list, component }: CandidatePair,
): CandidatePair | undefined {
  if (!isRelayed || isNominating) return undefined;
  return list.pairs.find(
    (other) =>
      other.component === component &&
      !other.isRelayed &&
      other.sentAt === undefined &&
      (other.state === "waiting" || other.state === "frozen") &&
      isReady(other) &&
      !isUnlikely(state, other),
  );
}

function nextTriggered({ triggered }: Checklist): CandidatePair | undefined {
  return triggered.find(isReady);
}

function nextOrdinary(state: AgentState, list: Checklist, now: Instant): CandidatePair | undefined {
  thaw(state, list, now);
  const waiting = list.pairs.filter((pair) => pair.state === "waiting" && isReady(pair));
  // DEVIATES RFC 8445 §6.1.4.2: pairs that are unlikely to be of use have to wait for all others, whatever their priority.
  const likely = waiting.filter((pair) => !isUnlikely(state, pair));
  const first = likely.find(({ base }) => base.kind === "host");
  // DEVIATES RFC 8445 §6.1.4.2: so have those of our own relay, for the peer checks that way, and triggers them.
  if (first !== undefined || isAnswerDue(list, state, now)) return first;
  return likely[0] ?? waiting[0];
}

/**
 * A direct check, or one of the peer's relay, may be answered any moment, and what follows from that should find a free
 * slot. A way over both relays takes as long as four round trips to a server at the most.
 */
function isAnswerDue({ pairs }: Checklist, state: AgentState, now: Instant): boolean {
  const { longestRoundTrip, serverRoundTrip } = state;
  const due = longestRoundTrip === undefined ? 4 * serverRoundTrip : 2 * longestRoundTrip;
  return pairs.some(
    (pair) =>
      pair.state === "in-progress" &&
      pair.base.kind === "host" &&
      pair.sentAt !== undefined &&
      now < after(pair.sentAt, due) &&
      !isUnlikely(state, pair),
  );
}

/**
 * RFC 8445 §6.1.4.2: a frozen pair thaws when no other of its foundation is about to tell whether it is worth a check.
 * DEVIATES RFC 8445 §6.1.4.2: a check that is unanswered for longer than any answer took holds up no other; else it would
 * for 39.5 s.
 */
function thaw(state: AgentState, list: Checklist, now: Instant): void {
  for (const pair of list.pairs) {
    if (pair.state !== "frozen" || !isReady(pair)) continue;
    const isHeldUp = state.lists.some(({ pairs }) =>
      pairs.some((other) => other.foundation === pair.foundation && mayStillTell(state, other, now)),
    );
    if (!isHeldUp) pair.state = "waiting";
  }
}

function mayStillTell(state: AgentState, other: CandidatePair, now: Instant): boolean {
  if (other.state === "waiting") return isReady(other);
  if (other.state !== "in-progress") return false;
  const ends = patienceEnds(state, other);
  return ends !== undefined && ends > now;
}
