/**
 * Consent (RFC 7675): as long as the peer answers, it may be sent to. The checks keep the mappings of NATs alive, too
 * (RFC 8445 §11).
 */
import { type Address, sameAddress } from "../base/address.ts";
import { after, type Instant } from "../base/machine.ts";
import { randomBelow } from "../base/random.ts";
import type { ClientTransaction } from "../stun/client-transaction.ts";
import { MessageClass, Method } from "../stun/registry.ts";
import type { StunView } from "../stun/view.ts";
import { messageId } from "../stun/writer.ts";
import type { Base } from "./base.ts";
import type { ListedComponent } from "./checklist.ts";
import { clearConsentTimers, failPair, startOver } from "./failing.ts";
import { patience, wake } from "./pacing.ts";
import type { CandidatePair } from "./pair.ts";
import { isSealed, sendRequest } from "./requests.ts";
import type { AgentState, Ask, ConsentAsk } from "./state.ts";

const INTERVAL_MS = 5_000;
/** RFC 7675 §5.1: consent expires 30 s after the last answer. */
const EXPIRY_MS = 30_000;
/** Without an answer for so long, the path is doubtful, and others are tried. */
const DOUBT_MS = 5_000;
/** After so long at least an answer is thought to be lost. */
const SUSPICION_MS = 500;
/** Checks after a restart, by which the path before is known to be dead. */
const ENOUGH_UNANSWERED = 2;
/** RFC 8445 §11: Tr. */
const KEEPALIVE_MS = 15_000;
/** RFC 7675 §5.1: a consent check is not repeated; the next is another transaction. */
const TIMING = { rto: 0, count: 1, lastWait: EXPIRY_MS };

export function startConsent(state: AgentState, component: ListedComponent, now: Instant): void {
  component.isDoubtful = false;
  component.suspectedAt = undefined;
  state.deadlines.clear(component.doubtTimer);
  if (state.config.isLite) {
    // RFC 8445 §11: a lite agent makes no checks, and so keeps the mapping alive by indications.
    state.deadlines.set(component.consentTimer, after(now, KEEPALIVE_MS));
    return;
  }
  scheduleNext(state, component, now);
  state.deadlines.set(component.expiryTimer, after(now, EXPIRY_MS));
}

function scheduleNext(state: AgentState, component: ListedComponent, now: Instant): void {
  // RFC 7675 §5.1: the interval is spread by chance over 0.8 to 1.2 of it.
  const share = 0.8 + (0.4 * randomBelow(state.ports.random, 0x10000)) / 0x10000;
  state.deadlines.set(component.consentTimer, after(now, INTERVAL_MS * share));
}

/** Data passes a pair that nobody has nominated yet, another one, or none any more: it needs consent all the same. */
export function useMeanwhile(
  state: AgentState,
  component: ListedComponent,
  pair: CandidatePair | undefined,
  now: Instant,
): void {
  if (component.interim === pair) return;
  endInterim(state, component);
  component.interim = pair;
  if (pair !== undefined) startConsent(state, component, now);
}

export function endInterim(state: AgentState, component: ListedComponent): void {
  if (component.interim === undefined) return;
  stopConsent(state, component);
  component.interim = undefined;
}

export function stopConsent(state: AgentState, component: ListedComponent): void {
  clearConsentTimers(state, component);
  for (const transaction of [...state.transactions.open]) {
    const { purpose } = transaction;
    if (purpose.kind === "consent" && purpose.pair === component.inUse) state.transactions.end(transaction);
  }
}

export function handleConsentDue(state: AgentState, component: ListedComponent, now: Instant): void {
  const { inUse: pair, selected } = component;
  if (pair === undefined) return;
  if (state.config.isLite) return keepAlive(state, component, pair, now);
  sendRequest(state, pair, { kind: "consent", pair }, false, TIMING, now);
  if (pair === selected && component.suspectedAt === undefined) {
    component.suspectedAt = now;
    state.deadlines.set(component.doubtTimer, after(now, Math.max(SUSPICION_MS, patience(state))));
  }
  scheduleNext(state, component, now);
}

function keepAlive(state: AgentState, component: ListedComponent, pair: CandidatePair, now: Instant): void {
  const data = state.writer
    .begin(Method.Binding, MessageClass.Indication, messageId(state.ports.random.bytes(12)))
    .fingerprint()
    .finish();
  state.outputs.push({ kind: "send", base: pair.base.id, to: pair.remoteAddress, data });
  state.deadlines.set(component.consentTimer, after(now, KEEPALIVE_MS));
}

export function handleConsentAnswer(
  state: AgentState,
  transaction: ClientTransaction<Ask>,
  { pair }: ConsentAsk,
  base: Base,
  from: Readonly<Address>,
  view: StunView,
  now: Instant,
): void {
  if (view.class !== MessageClass.Success) return;
  if (!isSealed(state, pair.list, view)) return void state.drop("unsealed");
  // RFC 7675 §5.1: the answer comes from where the check was sent to.
  if (base !== pair.base || !sameAddress(from, pair.remoteAddress)) return void state.drop("unexpected");
  state.transactions.end(transaction);
  const component = pair.list.component(pair.component);
  if (component.inUse !== pair) return;
  renewConsent(state, component, now);
}

/**
 * A restart often is the answer to a path that has died, and then data need not wait until another is nominated. One check
 * of the old path may be lost; two that are not answered in twice its round trip are its silence.
 */
export function listen(state: AgentState, component: ListedComponent, now: Instant): void {
  const { selected, isDoubtful, silenceTimer } = component;
  if (selected === undefined || state.config.isLite) return;
  component.unanswered = isDoubtful ? ENOUGH_UNANSWERED : 0;
  handleConsentDue(state, component, now);
  state.deadlines.set(silenceTimer, after(now, answersWithin(state, selected) / 2));
}

function answersWithin({ config }: AgentState, { roundTrip = SUSPICION_MS / 2 }: CandidatePair): number {
  return Math.max(2 * roundTrip, config.ta);
}

/** The first check is not answered yet, or the second is not either. */
export function handleSilence(state: AgentState, component: ListedComponent, now: Instant): void {
  const { selected } = component;
  if (selected === undefined) return;
  component.unanswered++;
  if (isSilent(component)) return;
  handleConsentDue(state, component, now);
  state.deadlines.set(component.silenceTimer, after(now, answersWithin(state, selected)));
}

export function isSilent({ unanswered }: ListedComponent): boolean {
  return unanswered >= ENOUGH_UNANSWERED;
}

/** The peer has answered a check of the path in use. */
export function renewConsent(state: AgentState, component: ListedComponent, now: Instant): void {
  component.isDoubtful = false;
  component.unanswered = 0;
  component.suspectedAt = undefined;
  state.deadlines.clear(component.doubtTimer);
  state.deadlines.clear(component.silenceTimer);
  state.deadlines.set(component.expiryTimer, after(now, EXPIRY_MS));
}

/**
 * A consent check is not answered. It may have been lost, and the next one is seconds away: an ordinary check, with its
 * repetitions, tells. When that is silent too, every other path is checked anew, and the first that answers is moved to.
 */
export function doubt(state: AgentState, component: ListedComponent, now: Instant): void {
  const { suspectedAt = now, selected } = component;
  if (now < after(suspectedAt, DOUBT_MS)) {
    if (selected !== undefined) verify(state, selected, now);
    state.deadlines.set(component.doubtTimer, after(suspectedAt, DOUBT_MS));
    return;
  }
  component.isDoubtful = true;
  for (const pair of component.list.of(component.id)) {
    if (pair !== component.selected && pair.failure !== "base-lost") startOver(state, pair);
  }
  wake(state, now);
}

/**
 * The peer has nominated a worse path than the one in use, as it does when it has lost its address: a check, and one
 * repetition, tell whether it is still to be reached on this one.
 */
export function suspect(state: AgentState, component: ListedComponent, now: Instant): void {
  const { suspectedAt, selected } = component;
  const since = after(now, 2 * Math.max(SUSPICION_MS, patience(state)) - DOUBT_MS);
  if (selected === undefined || (suspectedAt !== undefined && suspectedAt <= since)) return;
  component.suspectedAt = since;
  verify(state, selected, now);
  state.deadlines.set(component.doubtTimer, after(since, DOUBT_MS));
}

function verify(state: AgentState, pair: CandidatePair, now: Instant): void {
  if (pair.list.stream.current === pair.list) pair.list.triggered.push(pair);
  wake(state, now);
}

/** RFC 7675 §5.1: without consent nothing more is sent on this pair. */
export function expire(state: AgentState, component: ListedComponent): void {
  component.hadPath = true;
  if (component.inUse !== undefined) failPair(state, component.inUse, "consent-expired");
}
