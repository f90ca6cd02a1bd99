/** Addresses and allocations that go, permissions that come or do not. */
import type { Address } from "../base/address.ts";
import { sameIp } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import type { BaseId } from "./base.ts";
import { failPairsOf } from "./failing.ts";
import { concludeGathering } from "./gathering.ts";
import { wake } from "./pacing.ts";
import type { AgentState } from "./state.ts";

/** The socket or the allocation is gone, and what was sent from it. */
export function loseBase(state: AgentState, id: BaseId, now: Instant): void {
  const base = state.bases.get(id);
  if (base === undefined) return;
  failPairsOf(state, base, "base-lost");
  state.bases.delete(id);
  const left = state.locals.filter((one) => one.base !== base);
  state.locals.splice(0, state.locals.length, ...left);
  const queries = state.queries.filter((one) => one.base !== base);
  state.queries.splice(0, state.queries.length, ...queries);
  for (const transaction of [...state.transactions.open]) {
    if (transaction.purpose.kind === "gather" && transaction.purpose.base === base) state.transactions.end(transaction);
  }
  concludeGathering(state);
  wake(state, now);
}

export function failRelay(state: AgentState, id: BaseId, why: string): void {
  if (!state.pendingRelays.delete(id)) return;
  state.relayFailures.push(why);
  concludeGathering(state);
}

export function grantPermission(state: AgentState, id: BaseId, peer: Readonly<Address>, now: Instant): void {
  const permission = state.bases.get(id)?.permission(peer);
  if (permission === undefined) return;
  permission.state = "granted";
  wake(state, now);
}

export function refusePermission(state: AgentState, id: BaseId, peer: Readonly<Address>, why: string): void {
  const base = state.bases.get(id);
  const permission = base?.permission(peer);
  if (base === undefined || permission === undefined) return;
  permission.state = "refused";
  permission.why = why;
  failPairsOf(state, base, "permission-refused", (remote) => sameIp(remote, peer));
}
