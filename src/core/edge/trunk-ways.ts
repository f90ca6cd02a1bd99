/** The ways to trunks: within a dialog, and what a request's end tells of the server that it went to. */
import type { Instant } from "../base/machine.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import type { SipRequest } from "../sip/message/message.ts";
import type { Branch } from "../sip/proxy/fork.ts";
import type { Hop } from "../sip/proxy/hop.ts";
import type { Destination } from "./routing.ts";
import type { DialogContext, EdgeState } from "./state.ts";

/** Where a request goes within its dialog, of which `flow` is the other side's. */
export function wayWithin({ trunks }: EdgeState, { to }: DialogContext, flow: SipFlow): SipFlow | SipTarget {
  return to.trunk === undefined ? flow : trunks.wayTo(to.trunk, flow);
}

export function hopWithin(
  state: EdgeState,
  dialog: DialogContext,
  flow: SipFlow,
  request: SipRequest,
  now: Instant,
): Hop {
  const to = wayWithin(state, dialog, flow);
  const isTrunks = dialog.to.trunk !== undefined;
  const hop = state.dialogs.hopTo(to, request, isTrunks);
  return !isTrunks ? hop : { ...hop, overStream: state.trunks.overStream(to, now) };
}

/** RFC 3263 §4.3: who has failed is tried last for a while. */
export function noteFailure({ trunks, outputs }: EdgeState, { hop, failure }: Branch, now: Instant): void {
  const { trunk } = hop as Partial<Destination>;
  if (failure === undefined || trunk === undefined || "remote" in hop.to) return;
  const target: SipTarget = hop.to;
  trunks.avoid(target, failure.retryAfter, now);
  outputs.push({ kind: "event", event: { type: "trunk-failed", trunk: trunk.name, why: failure.why, target } });
}

export function noteStreamRefused({ trunks }: EdgeState, { hop }: Branch, now: Instant): void {
  if (hop.overStream !== undefined) trunks.noteStreamRefused(hop.overStream.to, now);
}
