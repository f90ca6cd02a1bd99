/** How pairs fail, and how checks are called off. */
import type { Address } from "../base/address.ts";
import type { Base } from "./base.ts";
import type { ListedComponent } from "./checklist.ts";
import type { CandidatePair, PairFailure } from "./pair.ts";
import type { AgentState } from "./state.ts";

export function clearConsentTimers(state: AgentState, component: ListedComponent): void {
  const { consentTimer, doubtTimer, expiryTimer, silenceTimer } = component;
  for (const timer of [consentTimer, doubtTimer, expiryTimer, silenceTimer]) state.deadlines.clear(timer);
}

/** Nothing more is awaited of the pair's check. */
export function endCheck(state: AgentState, pair: CandidatePair): void {
  if (pair.transaction !== undefined) state.transactions.end(pair.transaction);
  pair.transaction = undefined;
}

export function failPair(state: AgentState, pair: CandidatePair, failure: PairFailure): void {
  pair.state = "failed";
  pair.failure = failure;
  pair.isValid = pair.isNominating = pair.isNominated = false;
  pair.list.untrigger(pair);
  endCheck(state, pair);
  for (const transaction of [...state.transactions.open]) {
    const { purpose } = transaction;
    if (purpose.kind !== "gather" && purpose.pair === pair) state.transactions.end(transaction);
  }
  const component = pair.list.component(pair.component);
  if (component.inUse !== pair) return;
  component.selected = component.interim = undefined;
  component.isDoubtful = false;
  component.unanswered = 0;
  component.suspectedAt = undefined;
  clearConsentTimers(state, component);
}

export function failPairsOf(
  state: AgentState,
  base: Base,
  failure: PairFailure,
  matches: (remote: Readonly<Address>) => boolean = () => true,
): void {
  for (const list of base.stream.checklists) {
    for (const pair of list.pairs) {
      if (pair.base === base && pair.state !== "failed" && matches(pair.remoteAddress)) failPair(state, pair, failure);
    }
  }
}

/** Its check is asked again from the beginning. */
export function startOver(state: AgentState, pair: CandidatePair): void {
  endCheck(state, pair);
  pair.state = "waiting";
  pair.failure = undefined;
  pair.isValid = pair.isNominating = false;
  pair.sentAt = undefined;
}
