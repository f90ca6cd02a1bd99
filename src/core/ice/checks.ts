/** Connectivity checks that this agent makes (RFC 8445 §7.2), and what their answers say. */
import { type Address, blankAddress, sameAddress } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import type { ClientTransaction } from "../stun/client-transaction.ts";
import { Attribute, ErrorCode, MessageClass } from "../stun/registry.ts";
import type { StunView } from "../stun/view.ts";
import type { Base } from "./base.ts";
import { renewConsent } from "./consent.ts";
import { failPair, startOver } from "./failing.ts";
import { addLocal } from "./gathering.ts";
import { nominatesAtOnce } from "./nomination.ts";
import { checkTiming, wake } from "./pacing.ts";
import type { CandidatePair } from "./pair.ts";
import { isSealed, sendRequest } from "./requests.ts";
import { giveWay } from "./role.ts";
import { concludeNomination } from "./selection.ts";
import type { AgentState, Ask, CheckAsk } from "./state.ts";

export function sendCheck(state: AgentState, pair: CandidatePair, now: Instant): void {
  const nominates = state.isControlling && (pair.isNominating || nominatesAtOnce(state, pair, now));
  pair.isNominating = nominates;
  pair.list.untrigger(pair);
  cancelCheck(pair);
  if (!pair.isValid) pair.state = "in-progress";
  pair.sentAt ??= now;
  pair.checksSent++;
  const ask: CheckAsk = { kind: "check", pair, role: state.role, nominates, sentAt: now, isCancelled: false };
  pair.transaction = sendRequest(state, pair, ask, nominates, checkTiming(state), now);
}

/** RFC 8445 §7.3.1.4: the check is repeated no more, and its failure means nothing; its answer still does. */
export function cancelCheck(pair: CandidatePair): void {
  const ask = pair.transaction?.purpose;
  if (ask?.kind === "check") ask.isCancelled = true;
  pair.transaction = undefined;
}

export function handleCheckTimedOut(state: AgentState, { pair, isCancelled }: CheckAsk): void {
  if (!isCancelled) failPair(state, pair, "unanswered");
}

/** The error code of a response; 0: there is none. */
function errorCode(view: StunView): number {
  const value = view.bytes(Attribute.ErrorCode);
  return value === undefined || value.length < 4 ? 0 : ((value[2] as number) & 7) * 100 + (value[3] as number);
}

export function handleCheckAnswer(
  state: AgentState,
  transaction: ClientTransaction<Ask>,
  ask: CheckAsk,
  base: Base,
  from: Readonly<Address>,
  view: StunView,
  now: Instant,
): void {
  const { pair } = ask;
  if (!isSealed(state, pair.list, view)) {
    // RFC 8489 §9.1.4: as if it had never been received. It counts as a sign that credentials do not fit.
    pair.list.unsealed++;
    return void state.drop("unsealed");
  }
  const isSymmetric = base === pair.base && sameAddress(from, pair.remoteAddress);
  // What is known to work is not given up for one odd answer: the right one may still come.
  if (pair.isValid && !ask.nominates && !(isSymmetric && view.class === MessageClass.Success)) {
    return void state.drop("unexpected");
  }
  state.transactions.end(transaction);
  if (pair.transaction === transaction) pair.transaction = undefined;
  if (pair.failure === "base-lost") return;
  // RFC 8445 §7.2.5.2.1: an answer from elsewhere, or to elsewhere, is of no path that works both ways.
  if (!isSymmetric) return failPair(state, pair, "asymmetric");
  pair.isHeard = true;
  if (view.class === MessageClass.Success) return succeed(state, ask, view, transaction.sent === 1, now);
  if (errorCode(view) === ErrorCode.RoleConflict) return handleConflict(state, ask, now);
  failPair(state, pair, "refused");
}

/** RFC 8445 §7.2.5.1: the peer has the same role, and the greater number. */
function handleConflict(state: AgentState, { pair, role }: CheckAsk, now: Instant): void {
  // A request that crossed with a switch already made changes nothing.
  if (state.role === role) {
    giveWay(state);
    state.freshTieBreaker();
  }
  startOver(state, pair);
  if (!pair.list.triggered.includes(pair)) pair.list.triggered.push(pair);
  wake(state, now);
}

const mapped = blankAddress();

function succeed(state: AgentState, ask: CheckAsk, view: StunView, isMeasured: boolean, now: Instant): void {
  const { pair } = ask;
  const index = view.indexOf(Attribute.XorMappedAddress);
  if (index < 0 || !view.xorAddressAt(index, mapped)) return failPair(state, pair, "refused");
  if (isMeasured) {
    pair.roundTrip = now - ask.sentAt;
    state.longestRoundTrip = Math.max(state.longestRoundTrip ?? 0, pair.roundTrip);
  }
  // RFC 8445 §7.2.5.3.1: what the peer saw is a candidate of ours, a peer-reflexive one if it is new.
  // DEVIATES RFC 8445 §7.2.5.3.2: the pair that was checked is the valid one, with its own priority, and the candidate
  // that the peer saw is noted on it: what is sent on either leaves from the same base to the same address.
  pair.mapped = addLocal(state, pair.base, "prflx", mapped, undefined, 0, now);
  pair.state = "succeeded";
  pair.failure = undefined;
  pair.isValid = true;
  if (!pair.isNominating) pair.list.untrigger(pair);
  const component = pair.list.component(pair.component);
  // RFC 7675 §5.1: any answer of the peer's that is sealed is consent.
  if (component.inUse === pair) renewConsent(state, component, now);
  // RFC 8445 §7.2.5.3.3: where one has got through, others of its foundation are worth a try: they thaw in the next slot.
  wake(state, now);
  if (ask.nominates && state.isControlling) concludeNomination(state, pair, now);
  // RFC 8445 §7.3.1.5: the peer has nominated it before it was known to work.
  else if (!state.isControlling && pair.isWished) concludeNomination(state, pair, now);
}
