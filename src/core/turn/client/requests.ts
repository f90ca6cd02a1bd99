/** Requests: begun, sealed when a challenge is known, and sent as transactions. */
import type { Instant } from "../../base/machine.ts";
import { STREAM_TIMING, type TransactionTiming, UDP_TIMING } from "../../stun/client-transaction.ts";
import { MessageClass, type Method } from "../../stun/registry.ts";
import { messageId, type StunWriter } from "../../stun/writer.ts";
import { seal } from "./challenge.ts";
import type { ClientState, Request, Subject } from "./state.ts";

/** Begins a message with a fresh transaction ID. */
export function begin(state: ClientState, method: Method, messageClass: MessageClass): StunWriter {
  return state.writer.begin(method, messageClass, messageId(state.ports.random.bytes(12)));
}

export function usualTiming(state: ClientState): TransactionTiming {
  return state.config.transport === "udp" ? UDP_TIMING : STREAM_TIMING;
}

/** Seals what `begin` began, and sends it. `challenges`: how many the same request has answered before. */
export function send(
  state: ClientState,
  subject: Subject,
  challenges: number,
  now: Instant,
  timing: TransactionTiming = usualTiming(state),
): void {
  const challenge = subject.kind === "keepalive" ? undefined : state.challenge;
  if (challenge !== undefined) seal(state.writer, challenge, state.ports.crypto);
  const data = state.writer.finish();
  const request: Request = { subject, challenge, challenges, doubt: undefined };
  state.transactions.start(data, request, timing, now);
  state.outputs.push({ kind: "send", data });
}

export function beginRequest(state: ClientState, method: Method): StunWriter {
  return begin(state, method, MessageClass.Request);
}
