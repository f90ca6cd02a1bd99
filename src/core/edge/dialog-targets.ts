/** Where the sides of a dialog say that they are reached, and that nobody dials anew within a call. */
import { detached } from "../base/detached.ts";
import { contactOf } from "../sip/dialog/route-set.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipMessage, SipRequest, SipResponse } from "../sip/message/message.ts";
import { parseUri } from "../sip/message/uri.ts";
import { originalContact } from "../sip/proxy/contact-alias.ts";
import { userOf } from "../sip/registrar/address-of-record.ts";
import type { DialogContext, EdgeState } from "./state.ts";

/** RFC 3261 §12.2.1.2, §12.2.2, RFC 3311 §5.2: an INVITE or UPDATE with a 2xx may say that either is reached elsewhere now. */
export function noteTargets(dialog: DialogContext, request: SipRequest, response: SipResponse): void {
  if (request.method !== "INVITE" && request.method !== "UPDATE") return;
  noteTarget(dialog, "from", request);
  noteTarget(dialog, "to", response);
}

function noteTarget({ call, from, to, token }: DialogContext, sender: "from" | "to", message: SipMessage): void {
  const contact = contactOf(message);
  const hops = call?.dialogs.get(token.from === "caller" ? to : from)?.hops;
  const side = (sender === "from") === (token.from === "caller") ? "caller" : "callee";
  const known = hops?.[side];
  if (hops === undefined || known === undefined || contact === undefined) return;
  const target = originalContact(contact) ?? contact;
  if (target !== known.target) hops[side] = { ...known, target: detached(target) };
}

/**
 * Whether a phone's request within a call to a provider is for a number that is neither the one it talks to nor one that
 * its user may dial. Providers look at the dialog first; not every proxy of theirs does.
 */
export function dialsElsewhere({ routing }: EdgeState, dialog: DialogContext, request: SipRequest): boolean {
  const { call, from, to, token } = dialog;
  if (request.method !== "INVITE" || from.trunk !== undefined || to.trunk === undefined) return false;
  const isCaller = token.from === "caller";
  const target = call?.dialogs.get(isCaller ? to : from)?.hops[isCaller ? "callee" : "caller"]?.target;
  if (target === undefined || target === request.uriText) return false;
  const known = parseUri(target);
  const number = userOf(request.uri);
  if (number === undefined || (known !== MALFORMED && number === userOf(known))) return false;
  return !routing.mayDial(from.name, to.trunk, number);
}
