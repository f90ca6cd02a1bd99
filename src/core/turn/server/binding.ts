/** Binding: answered from the packet alone, without any state (RFC 8489 §6, §12; RFC 3489 §8 for classic clients). */
import type { Instant } from "../../base/machine.ts";
import { Attribute, ErrorCode, MessageClass } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import type { ClientPath } from "./client-path.ts";
import { answerDiscovery, DISCOVERY_ATTRIBUTES } from "./discovery.ts";
import { CREDENTIAL_ATTRIBUTES, unknownAttributes } from "./known-attributes.ts";
import { sendUnproven } from "./reply.ts";
import type { ServerState } from "./state.ts";

/** Types that a Binding request may carry and that need no action here: an ICE agent's, or a client's that signs. */
const IGNORED: readonly number[] = [...CREDENTIAL_ATTRIBUTES, Attribute.Priority, Attribute.UseCandidate];

/** RFC 3489 §11.2.4: a classic client may send CHANGE-REQUEST with no change in it. */
function isIdleChangeRequest(view: StunView): boolean {
  return view.has(Attribute.ChangeRequest) && view.u32(Attribute.ChangeRequest) === 0;
}

function knownAttributes(view: StunView, discovers: boolean): readonly number[] {
  // RFC 5780 §6: CHANGE-REQUEST is 420 where there is no second address; it and its like are of UDP alone.
  if (discovers) return [...IGNORED, ...DISCOVERY_ATTRIBUTES];
  return isIdleChangeRequest(view) ? [...IGNORED, Attribute.ChangeRequest] : IGNORED;
}

export function handleBinding(state: ServerState, view: StunView, path: ClientPath, now: Instant): void {
  if (!state.strangers.take(path.remote, now)) return state.drop("over-budget");
  const site = state.discovery.find(path.listener);
  const known = knownAttributes(view, site !== undefined && path.transport === "udp");
  const unknown = unknownAttributes(view, known);
  if (unknown.length > 0) {
    const writer = state.writer.beginAnswer(view, MessageClass.Error).errorCode(ErrorCode.UnknownAttribute);
    writer.u16List(Attribute.UnknownAttributes, unknown);
    if (sendUnproven(state, view, path)) state.countError(ErrorCode.UnknownAttribute);
    return;
  }
  if (site !== undefined) return answerDiscovery(state, view, path, site, now);
  const writer = state.writer.beginAnswer(view, MessageClass.Success);
  // RFC 8489 §12.2: without the magic cookie it is a classic client, which knows MAPPED-ADDRESS alone.
  if (view.classic) writer.address(Attribute.MappedAddress, path.remote);
  else writer.xorAddress(Attribute.XorMappedAddress, path.remote);
  if (view.has(Attribute.Fingerprint)) writer.fingerprint();
  if (sendUnproven(state, view, path)) state.stats.bindings++;
}
