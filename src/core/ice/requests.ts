/** Checks as messages (RFC 8445 §7.1), of connectivity and of consent, and what seals their answers. */
import type { Instant } from "../base/machine.ts";
import type { TransactionTiming } from "../stun/client-transaction.ts";
import { hasIntegritySha1 } from "../stun/integrity.ts";
import { Attribute, MessageClass, Method } from "../stun/registry.ts";
import type { StunView } from "../stun/view.ts";
import { messageId } from "../stun/writer.ts";
import type { Checklist } from "./checklist.ts";
import type { KeyedCredentials } from "./credentials.ts";
import type { CandidatePair } from "./pair.ts";
import { candidatePriority } from "./priority.ts";
import type { AgentState, Ask } from "./state.ts";

const NOTHING = new Uint8Array(0);

/**
 * RFC 8445 §7.1.1: the priority that a peer-reflexive candidate would have, if this check shows one.
 * DEVIATES RFC 8445 §7.1.1: of a relayed candidate it is its own. As a peer-reflexive one it would be better than every
 * server-reflexive candidate, and a relay be preferred to a direct path.
 */
function priorityShown({ local, base }: CandidatePair): number {
  return base.kind === "relay" ? local.priority : candidatePriority("prflx", base.localPreference, base.component);
}

/** Sends a check of the pair, with or without the wish to nominate it. */
export function sendRequest(
  state: AgentState,
  pair: CandidatePair,
  ask: Ask,
  nominates: boolean,
  timing: TransactionTiming,
  now: Instant,
): ReturnType<AgentState["transactions"]["start"]> {
  const data = writeCheck(state, pair.list, priorityShown(pair), nominates);
  state.outputs.push({ kind: "send", base: pair.base.id, to: pair.remoteAddress, data });
  return state.transactions.start(data, ask, timing, now);
}

/** The bytes of a check; `priority` is that of the candidate that it may show. */
export function writeCheck(state: AgentState, list: Checklist, priority: number, nominates: boolean): Uint8Array {
  const remote = list.remote as KeyedCredentials;
  const { writer, ports } = state;
  writer
    .begin(Method.Binding, MessageClass.Request, messageId(ports.random.bytes(12)))
    // RFC 8445 §7.2.2: the fragment of who is asked stands first.
    .text(Attribute.Username, `${remote.ufrag}:${list.local.ufrag}`)
    .u32(Attribute.Priority, priority);
  if (nominates) writer.bytes(Attribute.UseCandidate, NOTHING);
  writer
    .bytes(state.isControlling ? Attribute.IceControlling : Attribute.IceControlled, state.tieBreaker)
    .integritySha1(ports.crypto, remote.key)
    .fingerprint();
  return writer.finish();
}

/** RFC 8445 §7.2.2: an answer is sealed with the password of who gives it. */
export function isSealed(state: AgentState, list: Checklist, view: StunView): boolean {
  return list.remote !== undefined && hasIntegritySha1(view, state.ports.crypto, list.remote.key);
}
