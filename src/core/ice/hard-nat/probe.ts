/** Probes: connectivity checks that are sent once, and that form a pair only when the peer answers. */
import { type Address, copyAddress, sameAddress } from "../../base/address.ts";
import { after, type Instant } from "../../base/machine.ts";
import type { StunView } from "../../stun/view.ts";
import type { Base } from "../base.ts";
import { wake } from "../pacing.ts";
import { addPair, learnRemote } from "../pairing.ts";
import { candidatePriority } from "../priority.ts";
import { isSealed, writeCheck } from "../requests.ts";
import type { AgentState } from "../state.ts";
import type { Attempt } from "./hard-nats.ts";
import { adopt } from "./sockets.ts";

/**
 * DEVIATES RFC 8445 §14: probes are no transactions that are repeated, and go 10 ms apart, beside checks that go Ta apart:
 * at 50 ms the ports that the first ones open would be closed again before the last ones are tried.
 */
const PROBE_EVERY_MS = 10;

/** Where the transaction ID lies in a message. */
function transactionOf(message: Uint8Array): string {
  return String.fromCharCode(...message.subarray(8, 20));
}

export function sendProbe(state: AgentState, attempt: Attempt, base: Base, to: Readonly<Address>, now: Instant): void {
  const { hardNats } = state;
  const priority = candidatePriority("prflx", base.localPreference, base.component);
  const data = writeCheck(state, attempt.component.list, priority, false);
  hardNats.probes.set(transactionOf(data), { attempt, base, to: copyAddress(to) });
  hardNats.probesLeft--;
  hardNats.nextProbe = after(now, PROBE_EVERY_MS);
  attempt.probes++;
  state.outputs.push({ kind: "send", base: base.id, to: copyAddress(to), data });
}

/**
 * False: it answers no probe. Whatever the answer says, a check of the same way follows, which is judged as any other is.
 * Mostly the peer's own check comes first, which does the same.
 */
export function handleProbeAnswer(
  state: AgentState,
  at: Base,
  from: Readonly<Address>,
  view: StunView,
  now: Instant,
): boolean {
  const { probes } = state.hardNats;
  const key = transactionOf(view.data);
  const probe = probes.get(key);
  if (probe === undefined || probe.base !== at || !sameAddress(probe.to, from)) return false;
  const { base, to, attempt } = probe;
  const { list } = attempt.component;
  if (!isSealed(state, list, view)) return false;
  probes.delete(key);
  adopt(state, base);
  const priority = candidatePriority("prflx", base.localPreference, base.component);
  const remote = learnRemote(state, list, base.component, to, priority);
  const pair = list.find(base, to) === undefined && remote ? addPair(state, list, base, remote, now) : undefined;
  if (pair !== undefined) list.triggered.push(pair);
  wake(state, now);
  return true;
}
