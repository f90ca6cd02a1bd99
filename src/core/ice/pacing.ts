/** When the next transaction may go (RFC 8445 §14.2), and how patient the agent is with those that are not answered. */
import { after, type Instant } from "../base/machine.ts";
import { type TransactionTiming, UDP_TIMING } from "../stun/client-transaction.ts";
import type { CandidatePair } from "./pair.ts";
import type { AgentState } from "./state.ts";

/** How long a transaction lasts over UDP with the numbers of RFC 8489 §6.2.1, and how long until its last repetition. */
const TRANSACTION_MS = 39_500;
const LAST_REPETITION_MS = 31_500;

/** There may be something to send: it goes in the next slot. */
export function wake(state: AgentState, now: Instant): void {
  const { paceTimer, nextSlot, isClosed } = state;
  if (isClosed) return;
  const next = nextSlot > now ? nextSlot : now;
  if (paceTimer.heapIndex < 0 || paceTimer.deadline > next) state.deadlines.set(paceTimer, next);
}

/**
 * RFC 8445 §14.3: no RTO is below 500 ms; here it leaves every pair that waits a slot before any check is repeated. Many
 * pairs make for few repetitions, so that every transaction is over when the PAC timer fires (RFC 8863 §4).
 */
export function checkTiming(state: AgentState): TransactionTiming {
  const pending = state.lists.flatMap(({ pairs }) => pairs).filter(isPending).length;
  const rto = Math.max(UDP_TIMING.rto, state.config.ta * pending);
  let [count, last] = [1, 0];
  while (count < UDP_TIMING.count && last + rto * 2 ** (count - 1) <= LAST_REPETITION_MS) {
    last += rto * 2 ** (count - 1);
    count++;
  }
  return { rto, count, lastWait: TRANSACTION_MS - last };
}

/** Its check is still to come, or to be answered. */
export function isPending({ state }: CandidatePair): boolean {
  return state === "waiting" || state === "in-progress" || state === "frozen";
}

/** How long an answer may take before what waits for it goes on without: two of the longest round trips seen. */
export function patience(state: AgentState): number {
  const { longestRoundTrip, config } = state;
  return longestRoundTrip === undefined ? UDP_TIMING.rto : Math.max(2 * longestRoundTrip, config.ta);
}

/**
 * From when on a pair keeps no other one waiting; undefined: nobody has been asked about it yet. `isForRelay`: what waits
 * is a relay, the last resort. It waits for the peer's slots, too, where these take longer than the way: one for each
 * component, and two more.
 */
export function patienceEnds(state: AgentState, pair: CandidatePair, isForRelay = false): Instant | undefined {
  const since = pair.sentAt ?? pair.base.permission(pair.remoteAddress)?.askedAt;
  if (since === undefined) return undefined;
  const components = state.streams.reduce((sum, stream) => sum + stream.components.length, 0);
  return after(since, Math.max(patience(state), isForRelay ? state.config.ta * (2 + components) : 0));
}
