/**
 * Who the sides of a dialog are, and where each is now. A flow dies with its connection, or with the process; what leads
 * to the phone then is what the same user has registered since, with a password, and never what a message claims.
 */
import { readU32 } from "../base/bytes.ts";
import { binaryBytes } from "../sip/digest/algorithm.ts";
import { isSameFlow, type SipFlow } from "../sip/flow.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipRequest } from "../sip/message/message.ts";
import { parseUri } from "../sip/message/uri.ts";
import { isSameUri } from "../sip/message/uri-comparison.ts";
import { originalContact } from "../sip/proxy/contact-alias.ts";
import type { DialogParty, OpenedToken } from "../sip/proxy/flow-token.ts";
import type { Binding } from "../sip/registrar/binding.ts";
import type { CallSide } from "./call.ts";
import type { DialogContext, EdgeState } from "./state.ts";

/** For a token: which of its user's phones it is too. */
export function partyOf(
  state: EdgeState,
  { name, flow, trunk }: Pick<CallSide, "name" | "flow" | "trunk">,
): DialogParty {
  if (trunk !== undefined) return { flow, name, isTrunk: true, phone: 0 };
  const binding = phoneAt(state, name, flow);
  return { flow, name, isTrunk: false, phone: binding === undefined ? 0 : markOf(state, binding) };
}

/** A side of a dialog of which nothing is known but its token. */
export function sideOf(state: EdgeState, party: DialogParty): CallSide {
  const { name, isTrunk, flow } = party;
  const trunk = isTrunk ? state.config.trunks.find((one) => one.name === name) : undefined;
  // A trunk that is none any more is nobody, and above all no user of that name.
  if (isTrunk) return { name: trunk === undefined ? "" : name, flow, trunk, leg: undefined };
  const binding = phonesOf(state, name).find((one) => isMarked(state, one, party));
  // A connection is looked for when it is needed: until then it may be the one that the token names.
  const there = flow.transport === "udp" ? (binding?.flow ?? flow) : flow;
  return { name, flow: there, trunk, isProxied: binding?.through !== undefined, leg: undefined };
}

/** Where a request goes within its dialog. */
export function reach(state: EdgeState, dialog: DialogContext, request: SipRequest): SipFlow {
  const { to, token } = dialog;
  if (to.trunk !== undefined || isOpen(state, to.flow)) return to.flow;
  const found = phoneOf(state, to.name, otherParty(token), originalContact(request.uriText) ?? request.uriText);
  if (found !== undefined) state.calls.move(to, found.flow, found.through !== undefined);
  return to.flow;
}

/** A phone of that user's that is registered just there. */
export function phoneAt(state: EdgeState, name: string, flow: SipFlow): Binding | undefined {
  return phonesOf(state, name).find((one) => isSameFlow(one.flow, flow));
}

function otherParty({ from, caller, callee }: OpenedToken): DialogParty {
  return from === "caller" ? callee : caller;
}

/** Of UDP nobody knows. */
export function isOpen({ connections }: EdgeState, { transport, connection }: SipFlow): boolean {
  return transport === "udp" || connections.has(connection);
}

/** By its instance or its Contact as registered; by the Contact that it gave in the dialog; or because there is one. */
function phoneOf(state: EdgeState, name: string, party: DialogParty, contact: string): Binding | undefined {
  const phones = phonesOf(state, name).filter((one) => one.state !== "flow-lost");
  const uri = parseUri(contact);
  const isThere = (one: Binding): boolean => {
    const own = parseUri(one.contact);
    return uri !== MALFORMED && own !== MALFORMED && isSameUri(uri, own);
  };
  const found = phones.find((one) => isMarked(state, one, party)) ?? phones.find(isThere);
  return found ?? (phones.length === 1 ? phones[0] : undefined);
}

function phonesOf({ registrar, config }: EdgeState, name: string): readonly Binding[] {
  return registrar.bindingsOf(`sip:${name}@${config.domain}`);
}

function isMarked(state: EdgeState, binding: Binding, { phone }: DialogParty): boolean {
  return phone !== 0 && markOf(state, binding) === phone;
}

function markOf({ ports }: EdgeState, { instance, contact }: Binding): number {
  return readU32(ports.crypto.sha256(binaryBytes(instance ?? contact)), 0) || 1;
}
