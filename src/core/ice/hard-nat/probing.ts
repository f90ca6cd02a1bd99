/**
 * Hard NATs: paths between NATs that ordinary checks do not get through, by many authenticated checks to ports of the
 * peer's NAT that nobody has told of. Off unless asked for, on both sides, and bounded.
 *
 * Where one NAT gives every destination another port (A) and the other lets in whom it has sent to (B), the agent behind A
 * sends one probe from each of 256 sockets to B's address, so that A opens as many ports to it; the agent behind B sends
 * from its one socket to ports of A, until one is open. Each probe to an open port lets its answer in. It does not matter
 * which of the two is first. Where A counts its ports up, those that follow are tried before others.
 */
import { copyAddress } from "../../base/address.ts";
import { after, type Instant } from "../../base/machine.ts";
import type { Base } from "../base.ts";
import type { ListedComponent } from "../checklist.ts";
import type { AgentState } from "../state.ts";
import { chanceEnds, mayProbe } from "./chance.ts";
import type { Attempt } from "./hard-nats.ts";
import { type Guessing, MAX_GUESSES, type Opening, planFor } from "./plan.ts";
import { sendProbe } from "./probe.ts";
import { askForSocket, closeUnheard, closeUnused } from "./sockets.ts";
import { translationOf } from "./translation.ts";

/** The other side may begin later than this one, and guesses for ten seconds; NATs forget ports after thirty. */
const OPEN_MS = 20_000;
/** What the last probe brings, and a better pair that is found beside the first. */
const LINGER_MS = 3_000;

/** What follows from any input. */
export function considerHardNats(state: AgentState, now: Instant): void {
  const { hardNats, config } = state;
  if (!config.hardNats) return;
  if (hardNats.attempt === undefined) beginSome(state, now);
  else if (isGone(state, hardNats.attempt)) end(state, now);
  else if (!mayProbe(hardNats.attempt.component)) stop(state, hardNats.attempt, now);
  const due = nextDue(state, now);
  if (due === undefined) state.deadlines.clear(hardNats.timer);
  else state.deadlines.set(hardNats.timer, due);
}

export function handleHardNatsDue(state: AgentState, now: Instant): void {
  const { attempt } = state.hardNats;
  if (attempt === undefined) return;
  if (now >= attempt.ends) end(state, now);
  else if (!attempt.isSpent) useProbeSlot(state, attempt, now);
}

/** When there is something to do by itself. */
function nextDue(state: AgentState, now: Instant): Instant | undefined {
  const { attempt, nextProbe } = state.hardNats;
  if (attempt !== undefined) {
    const isWaiting = attempt.isSpent || (attempt.ready.length === 0 && attempt.isAwaiting);
    return isWaiting || attempt.ends < nextProbe ? attempt.ends : nextProbe;
  }
  const ends = state.lists
    .flatMap(({ components }) => components)
    .filter((component) => isUntried(state, component))
    .map(chanceEnds)
    .filter((at) => at !== undefined && at > now) as Instant[];
  return ends.length === 0 ? undefined : (Math.min(...ends) as Instant);
}

function isUntried(state: AgentState, component: ListedComponent): boolean {
  return mayProbe(component) && !state.hardNats.attempts.has(component) && state.hardNats.probesLeft > 0;
}

function beginSome(state: AgentState, now: Instant): void {
  // Before, it is not known what kind our own NAT is.
  if (state.gathering !== "done") return;
  for (const component of state.lists.flatMap(({ components }) => components)) {
    if (!isUntried(state, component)) continue;
    const ends = chanceEnds(component);
    if (ends === undefined || ends > now) continue;
    if (begin(state, component, now)) return;
  }
}

function begin(state: AgentState, component: ListedComponent, now: Instant): boolean {
  const { list, id } = component;
  const locals = state.locals.filter(({ base }) => base.stream === list.stream);
  const [own, peer] = [translationOf(locals, id), translationOf(list.remotes, id)];
  if (own === undefined || peer === undefined) return false;
  const plan = planFor(own, peer, state.ports.random);
  const base = locals.find(({ type, address }) => type === "srflx" && address === own.seen)?.base as Base;
  if (plan === undefined) return false;
  const attempt: Attempt = {
    component,
    plan,
    base,
    wanted: plan.part === "open" ? plan.sockets : 0,
    isAwaiting: false,
    ready: [],
    probes: 0,
    isSpent: false,
    ends: after(now, OPEN_MS),
  };
  state.hardNats.attempt = attempt;
  state.hardNats.attempts.set(component, attempt);
  return true;
}

function useProbeSlot(state: AgentState, attempt: Attempt, now: Instant): void {
  if (now < state.hardNats.nextProbe) return;
  if (attempt.plan.part === "guess") guess(state, attempt, attempt.plan, now);
  else open(state, attempt, attempt.plan, now);
  if (state.hardNats.probesLeft === 0) attempt.isSpent = true;
}

function guess(state: AgentState, attempt: Attempt, { ip, ports }: Guessing, now: Instant): void {
  const { value: port } = ports.next();
  if (port !== undefined) sendProbe(state, attempt, attempt.base, { ...copyAddress(ip), port }, now);
  if (port !== undefined && attempt.probes < MAX_GUESSES) return;
  attempt.isSpent = true;
  attempt.ends = after(now, LINGER_MS);
}

function open(state: AgentState, attempt: Attempt, { to }: Opening, now: Instant): void {
  const base = attempt.ready.shift();
  if (base !== undefined) sendProbe(state, attempt, base, to, now);
  askForSocket(state, attempt);
  // Its sockets stay open for what is sent to them.
  attempt.isSpent = attempt.wanted === 0 && !attempt.isAwaiting && attempt.ready.length === 0;
}

/** There is a direct path, whatever brought it; or a restart has come. */
function stop(state: AgentState, attempt: Attempt, now: Instant): void {
  closeUnheard(state);
  const ends = after(now, LINGER_MS);
  if (attempt.ends > ends) attempt.ends = ends;
  attempt.isSpent = true;
}

/** The socket or the peer's consent is no more. */
function isGone(state: AgentState, { base, component: { selected, hadPath } }: Attempt): boolean {
  return (selected === undefined && hadPath) || state.bases.get(base.id) !== base;
}

function end(state: AgentState, now: Instant): void {
  const { hardNats } = state;
  hardNats.attempt = undefined;
  hardNats.probes.clear();
  closeUnheard(state);
  closeUnused(state, now);
}
