/** The pair that a component uses (RFC 8445 §8.1), and what becomes of the others. */
import type { Instant } from "../base/machine.ts";
import type { LocalCandidate } from "./candidate.ts";
import { startConsent, stopConsent, suspect } from "./consent.ts";
import { endCheck, startOver } from "./failing.ts";
import type { Path } from "./outputs.ts";
import { isPending } from "./pacing.ts";
import type { CandidatePair } from "./pair.ts";
import { type Reason, reasonToSelect } from "./reasons.ts";
import type { AgentState } from "./state.ts";

export function pathOf(pair: CandidatePair): Path {
  const { base, remote, component, list, roundTrip } = pair;
  const { foundation, priority, address, type, related }: LocalCandidate = pair.mapped ?? pair.local;
  return {
    stream: list.stream.index,
    component,
    kind: pair.isRelayed ? "relayed" : "direct",
    base: base.id,
    remote,
    local: { foundation, component, priority, address, type, related },
    roundTrip,
  };
}

/** Both agents have agreed on this pair. A path in use is never given up for a worse one. */
export function concludeNomination(state: AgentState, pair: CandidatePair, now: Instant): void {
  pair.isNominated = true;
  pair.isNominating = false;
  const component = pair.list.component(pair.component);
  const { selected, isDoubtful } = component;
  if (selected === pair) return;
  if (selected !== undefined && !isDoubtful && selected.priority >= pair.priority) {
    if (!state.isControlling) suspect(state, component, now);
    return;
  }
  const reason = reasonToSelect(state, component, pair);
  stopConsent(state, component);
  // The path that fell silent may come back, and if it is the better one is returned to.
  if (selected !== undefined && isDoubtful) startOver(state, selected);
  select(state, pair, reason, now);
}

function select(state: AgentState, pair: CandidatePair, reason: Reason, now: Instant): void {
  const component = pair.list.component(pair.component);
  component.selected = pair;
  component.interim = undefined;
  component.hadPath = true;
  startConsent(state, component, now);
  // DEVIATES RFC 8445 §8.1.2: better pairs are still checked, and moved to; only the worse ones are called off.
  for (const other of pair.list.of(pair.component)) {
    if (other === pair || other.priority > pair.priority || !isPending(other)) continue;
    endCheck(state, other);
    other.list.untrigger(other);
    other.state = "frozen";
    other.sentAt = undefined;
  }
  state.tell({ type: "selected", path: pathOf(pair), reason });
}

/** Whether a check of this pair can still change anything. */
export function isWanted(pair: CandidatePair): boolean {
  const { selected, isDoubtful } = pair.list.component(pair.component);
  if (selected === undefined || isDoubtful || pair.isNominating || pair.isWished || pair === selected) return true;
  return pair.priority > selected.priority;
}
