/** Who is turned away at the door while more comes than can be served (`overload.ts`): strangers, at the price of a look. */
import type { Instant } from "../../base/machine.ts";
import { Attribute, ErrorCode, Method } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import type { ClientPath } from "./client-path.ts";
import { ALL_DROPPED_FROM, CROWDED_FROM } from "./overload.ts";
import { refuseUnproven } from "./reply.ts";
import type { ServerState } from "./state.ts";

/** Whether a request goes no further. `fill`: how full the queue is that it came out of. */
export function isTurnedAway(
  state: ServerState,
  view: StunView,
  from: ClientPath,
  fill: number,
  now: Instant,
): boolean {
  state.overload.noteRequest(fill, now);
  if (fill < CROWDED_FROM || belongsToSession(state, view, from) || !state.overload.dropsStranger(fill)) return false;
  // Who asks for an allocation is told, while there is time for it, so as to ask another server; the rest ask again.
  const isTold = fill < ALL_DROPPED_FROM && view.method === Method.Allocate && !isSealed(view) && !view.classic;
  if (isTold && state.strangers.take(from.remote, now)) {
    refuseUnproven(state, view, from, ErrorCode.InsufficientCapacity);
  } else state.drop("overload");
  return true;
}

function belongsToSession(state: ServerState, view: StunView, from: ClientPath): boolean {
  return isSealed(view) && state.clients.find(from) !== undefined;
}

function isSealed(view: StunView): boolean {
  return view.has(Attribute.MessageIntegrity) || view.has(Attribute.MessageIntegritySha256);
}
