/** Which way a description goes on its way through, and whether it is an offer or an answer (RFC 6337 §2). */
import type { Branch } from "../sip/proxy/fork.ts";
import type { Carriage } from "../sip/proxy/outputs.ts";
import type { Call, CallSide } from "./call.ts";
import type { Passage } from "./media-path.ts";
import type { Destination } from "./routing.ts";
import { hasSession } from "./session-body.ts";
import type { DialogContext, ForkOwner } from "./state.ts";

/** Undefined where there is none, or where the call is not known. */
export function passageOf(carriage: Carriage, owner: ForkOwner): Passage | undefined {
  const { message, kind } = carriage;
  if (owner.kind === "plain" || owner.kind === "untouched") return undefined;
  const { call, from, to } = owner.kind === "call" ? sidesOf(carriage, owner.call) : owner.dialog;
  if (call === undefined || !call.has(from) || !call.has(to)) return undefined;
  const tag = calleeTag(carriage, owner) ?? "";
  if (kind === "request" && message.method === "INVITE") call.lateOffers.begin(tag);
  if (!hasSession(message)) return undefined;
  if (kind === "request") {
    // RFC 3262 §5: a PRACK answers what a provisional response has offered; else it may offer itself.
    const isAnswer = message.method === "PRACK" && call.lateOffers.takeAnswer(tag, to);
    return { call, from, to, role: isAnswer ? "answer" : "offer", onward: carriage };
  }
  const hasOffer = owner.kind === "call" ? call.hasOffer : owner.hasOffer;
  if (!hasOffer) call.lateOffers.note(tag, to);
  return { call, from: to, to: from, role: hasOffer ? "answer" : "offer", onward: carriage };
}

/** Whether one of the two has given way to another phone. */
export function isGone({ call, from, to }: Passage): boolean {
  return call.gone.has(from) || call.gone.has(to);
}

/** As the request goes. */
function sidesOf({ branch }: Carriage, call: Call): Pick<DialogContext, "call" | "from" | "to"> {
  return { call, from: call.caller, to: calleeOf(call, branch) };
}

function calleeTag({ message }: Carriage, owner: ForkOwner): string | undefined {
  const isCallees = owner.kind === "dialog" && owner.dialog.token.from === "callee";
  return isCallees ? message.fromTag : message.toTag;
}

/** The side that a branch rings. */
export function calleeOf(call: Call, branch: Branch): CallSide {
  const known = call.branches.get(branch);
  if (known !== undefined) return known;
  const { name, flow, trunk, isProxied } = branch.hop as Destination;
  const callee: CallSide = { name, flow, trunk, isProxied, leg: undefined };
  call.branches.set(branch, callee);
  call.tried.push(callee);
  return callee;
}
