/** Whether there is room for another call, of all and of whose it is; who is refused hears which limit it is. */
import type { Instant } from "../base/machine.ts";
import { hexOf } from "../sip/digest/algorithm.ts";
import type { SipFlow } from "../sip/flow.ts";
import { createResponse } from "../sip/message/build.ts";
import type { ServerTransaction } from "../sip/transaction/server.ts";
import type { CallSide } from "./call.ts";
import { limitAnswer } from "./limit-answer.ts";
import type { EdgeLimit } from "./outputs.ts";
import { fullOf, nameOf, type Owner } from "./quotas.ts";
import { noteRefusal } from "./refusals.ts";
import type { Route } from "./routing.ts";
import type { EdgeState } from "./state.ts";

/** Answers the INVITE of a call that cannot be. */
export function isRefusedCall(state: EdgeState, transaction: ServerTransaction, owner: Owner, now: Instant): boolean {
  if (state.isDraining) {
    const toTag = hexOf(state.ports.random.bytes(8));
    state.transactions.respond(transaction, createResponse(transaction.request, 503, { toTag }), now);
    return true;
  }
  const isFull = state.calls.size >= state.config.limits.calls;
  const limit = isFull ? "calls" : fullOf(state.quotas.of(owner), "calls");
  if (limit !== undefined) refuseCall(state, transaction, limit, owner.flow, nameOf(owner), now);
  return limit !== undefined;
}

/** What there is no room for, for a call that is known again; undefined where there is. */
export function fullFor(
  { calls, quotas, config }: EdgeState,
  { name, trunk, flow }: CallSide,
  callee: CallSide,
): EdgeLimit | undefined {
  if (calls.size >= config.limits.calls) return "calls";
  const through = callee.trunk === undefined ? [] : [quotas.ofTrunk(callee.trunk)];
  return fullOf([...quotas.of({ user: name, trunk, flow }), ...through], "calls");
}

export function refuseCall(
  state: EdgeState,
  transaction: ServerTransaction,
  limit: EdgeLimit,
  flow: SipFlow,
  name: string | undefined,
  now: Instant,
): void {
  noteRefusal(state, limit, flow, name, now);
  state.transactions.respond(transaction, limitAnswer(transaction.request, limit, state.ports.random), now);
}

/** The route without trunks that have no room; undefined where nothing is left of it. */
export function withRoom({ quotas }: EdgeState, { called, groups }: Route): Route | undefined {
  const open = groups
    .map((group) => group.filter(({ trunk }) => trunk === undefined || !quotas.ofTrunk(trunk).isFull("calls")))
    .filter((group) => group.length > 0);
  return open.length > 0 || groups.length === 0 ? { called, groups: open } : undefined;
}
