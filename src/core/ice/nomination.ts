/**
 * Nomination without dead waits. The best valid pair is nominated once every better one has failed, or was sent and is
 * unanswered for longer than two of the longest round trips. What was missed by this is not lost: better pairs are checked
 * on, and when one succeeds it is nominated in turn.
 */
import type { Instant } from "../base/machine.ts";
import type { ListedComponent } from "./checklist.ts";
import { isUnlikely } from "./likelihood.ts";
import { patienceEnds, wake } from "./pacing.ts";
import type { CandidatePair } from "./pair.ts";
import type { AgentState } from "./state.ts";

/** RFC 8445 §8.1.1: the controlling agent decides when and which. */
export function considerNominations(state: AgentState, now: Instant): void {
  state.deadlines.clear(state.nominateTimer);
  if (!state.isControlling || state.config.isLite) return;
  for (const { components } of state.lists) {
    for (const component of components) considerNomination(state, component, now);
  }
}

function considerNomination(state: AgentState, component: ListedComponent, now: Instant): void {
  const pairs = component.list.of(component.id);
  withdraw(state, component, now);
  const best = pairs.find((pair) => pair.isValid && !(component.isDoubtful && pair === component.selected));
  if (best === undefined || !isGain(component, best)) return;
  // One at a time; a better one that turns up meanwhile goes first.
  if (pairs.some((pair) => pair.isNominating && pair.isValid && pair.priority >= best.priority)) return;
  const ready = readyAt(state, component, best);
  if (ready === undefined) return;
  if (ready <= now) nominate(state, best, now);
  else if (state.nominateTimer.heapIndex < 0 || ready < state.nominateTimer.deadline) {
    state.deadlines.set(state.nominateTimer, ready as Instant);
  }
}

/** A nomination that waits for its slot is called off when something better turns up. */
function withdraw(state: AgentState, { list, id }: ListedComponent, now: Instant): void {
  for (const pair of list.triggered.filter((one) => one.component === id && one.isNominating)) {
    const ready = readyAt(state, list.component(id), pair);
    if (ready !== undefined && ready <= now) continue;
    pair.isNominating = false;
    if (pair.isValid) list.untrigger(pair);
  }
}

/**
 * From when on no better pair is worth waiting for; undefined: one of them has not been tried yet. A nomination counts when
 * the peer has it: so it is sent half a round trip before, and is not late.
 */
function readyAt(state: AgentState, component: ListedComponent, best: CandidatePair): number | undefined {
  let ready = Number.NEGATIVE_INFINITY;
  for (const pair of component.list.of(component.id)) {
    if (pair.priority <= best.priority || pair === component.selected || !maySucceed(pair, best)) continue;
    if (isUnlikely(state, pair)) continue;
    const ends = patienceEnds(state, pair, best.isRelayed);
    if (ends === undefined) return undefined;
    ready = Math.max(ready, ends);
  }
  return ready - (best.roundTrip ?? 0) / 2;
}

/**
 * An answer from another port than the asked one has opened the peer's NAT there: its own check is on its way, and a relay
 * waits for that.
 */
function maySucceed({ state, failure, sentAt }: CandidatePair, best: CandidatePair): boolean {
  return state !== "failed" || (best.isRelayed && failure === "asymmetric" && sentAt !== undefined);
}

function isGain({ selected, isDoubtful }: ListedComponent, best: CandidatePair): boolean {
  return selected === undefined || isDoubtful || best.priority > selected.priority;
}

/**
 * DEVIATES RFC 8445 §8.1.1: where the peer's own check has come that way and nothing better is to be waited for, the check
 * that is to make the pair valid nominates it too; the nomination counts when the check succeeds. It saves a round trip.
 */
export function nominatesAtOnce(state: AgentState, pair: CandidatePair, now: Instant): boolean {
  // A relay is nominated by those who know its round trip, and so how long direct paths may take.
  if (!state.isControlling || !pair.isHeard || pair.isRelayed) return false;
  const component = pair.list.component(pair.component);
  const ready = readyAt(state, component, pair);
  return ready !== undefined && ready <= now && isGain(component, pair);
}

/** RFC 8445 §8.1.1: regular nomination, by another check of the pair, with USE-CANDIDATE. */
function nominate(state: AgentState, pair: CandidatePair, now: Instant): void {
  pair.isNominating = true;
  pair.list.untrigger(pair);
  pair.list.triggered.unshift(pair);
  wake(state, now);
}
