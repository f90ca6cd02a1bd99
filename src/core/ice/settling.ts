/** What follows from any input: who is nominated, which way data goes, and what state the agent is in. */
import type { Instant } from "../base/machine.ts";
import type { Checklist, ListedComponent } from "./checklist.ts";
import { isSilent, useMeanwhile } from "./consent.ts";
import { diagnose } from "./diagnosis.ts";
import { considerHardNats } from "./hard-nat/probing.ts";
import { considerNominations } from "./nomination.ts";
import type { IceState } from "./outputs.ts";
import type { CandidatePair } from "./pair.ts";
import type { Reason } from "./reasons.ts";
import { retirePrevious } from "./restart.ts";
import { pathOf } from "./selection.ts";
import type { AgentState } from "./state.ts";
import type { Stream } from "./stream.ts";

export function settle(state: AgentState, now: Instant): void {
  if (state.isClosed) return;
  considerNominations(state, now);
  considerHardNats(state, now);
  let verdict: Reason | undefined;
  for (const stream of state.streams) {
    const { current } = stream;
    if (current === undefined) continue;
    verdict = judge(state, current) ?? verdict;
    for (const component of current.components) route(state, stream, component, now);
    if (current.isCompleted) retirePrevious(state, stream, now);
  }
  tellState(state, verdict);
}

/** RFC 8445 §6.1.2.1: a checklist has failed when there is a component for which nothing is left to try. */
function judge(state: AgentState, list: Checklist): Reason | undefined {
  if (list.isFailed || !list.components.some((component) => isHopeless(list, component))) return undefined;
  list.isFailed = true;
  const { reason, report } = diagnose(state, list);
  state.tell({ type: "failed", stream: list.stream.index, reason, report });
  return reason;
}

function isHopeless(list: Checklist, { id, selected, hadPath }: ListedComponent): boolean {
  if (selected !== undefined || list.remote === undefined) return false;
  // RFC 8863 §4: as long as the PAC timer runs, a check of the peer's may bring a pair that works.
  if (list.isPatient && !hadPath) return false;
  return list.of(id).every((pair) => pair.state === "failed" && !pair.isValid);
}

/**
 * RFC 8445 §12.1: the selected pair; until there is one, the pair that a restart is to replace, or any valid one. A relay
 * is the last resort: nothing passes it before it was nominated, unless that was asked for, or the call is cut off.
 */
function route(state: AgentState, stream: Stream, component: ListedComponent, now: Instant): void {
  const before = stream.previous?.component(component.id);
  const isCutOff = before !== undefined && isSilent(before);
  const found = usable(component, isCutOff || state.config.relayFirst);
  const next = component.selected ?? (isCutOff ? (found ?? before.selected) : (before?.selected ?? found));
  if (component.selected === undefined) {
    useMeanwhile(state, component, next?.list === component.list ? next : undefined, now);
  }
  if (next === stream.routes[component.id]) return;
  stream.routes[component.id] = next;
  if (next === undefined || component.isUsable || next.list !== component.list) return;
  component.isUsable = true;
  state.tell({ type: "usable", path: pathOf(next) });
}

function usable({ list, id }: ListedComponent, mayBeRelayed: boolean): CandidatePair | undefined {
  return list.pairs.find((pair) => pair.component === id && pair.isValid && (mayBeRelayed || !pair.isRelayed));
}

function tellState(state: AgentState, reason: Reason | undefined): void {
  const next = stateOf(state);
  if (next === state.told) return;
  state.told = next;
  state.tell({ type: "state", state: next, reason });
}

function stateOf({ lists }: AgentState): IceState {
  if (lists.some((list) => list.isFailed && !isCarried(list))) return "failed";
  if (lists.length === 0 || lists.every(({ remote }) => remote === undefined)) {
    return lists.some(({ stream }) => stream.previous !== undefined) ? worst(lists) : "new";
  }
  return worst(lists);
}

/** A restart that has failed leaves the path that it was to replace. */
function isCarried({ stream: { previous } }: Checklist): boolean {
  return previous?.components.every(({ selected }) => selected !== undefined) === true;
}

/** Of what the components have. After a restart the old path counts until there is a new one. */
function worst(lists: readonly Checklist[]): IceState {
  const states = lists.flatMap(({ components, stream }) =>
    components.map((component): IceState => {
      const old = stream.previous?.component(component.id);
      const used = component.selected !== undefined ? component : (old ?? component);
      if (used.selected === undefined) return used.hadPath ? "disconnected" : "checking";
      return used.isDoubtful ? "disconnected" : "connected";
    }),
  );
  return states.find((one) => one === "checking") ?? states.find((one) => one === "disconnected") ?? "connected";
}
