/** Who is controlling (RFC 8445 §7.3.1.1), when both agents think the same. */
import { Attribute } from "../stun/registry.ts";
import type { StunView } from "../stun/view.ts";
import type { AgentState } from "./state.ts";

/** Takes the other role; pairs have other priorities then (RFC 8445 §6.1.2.3). */
export function giveWay(state: AgentState): void {
  state.role = state.isControlling ? "controlled" : "controlling";
  for (const stream of state.streams) {
    for (const list of stream.checklists) {
      for (const pair of list.pairs) {
        pair.weigh(state.isControlling);
        pair.isNominating = false;
      }
      list.sort();
    }
  }
  state.tell({ type: "role", role: state.role });
}

function isAtLeast(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return (a[i] as number) > (b[i] as number);
  }
  return true;
}

/** Looks at the role that a check claims, and gives way where that is right; false: the peer has to, by a 487. */
export function settleRoles(state: AgentState, view: StunView): boolean {
  const claimed = view.bytes(state.isControlling ? Attribute.IceControlling : Attribute.IceControlled);
  if (claimed === undefined || claimed.length !== state.tieBreaker.length) return true;
  const isGreater = isAtLeast(state.tieBreaker, claimed);
  // RFC 8445 §7.3.1.1: the greater tie-breaker controls. A lite agent never does.
  const mayStay = isGreater === state.isControlling || state.config.isLite;
  if (mayStay) return state.config.isLite;
  giveWay(state);
  return true;
}
