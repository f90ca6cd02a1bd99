/**
 * Calls that the server ends: a proxy has no part in a dialog, but who it is between, and by which numbers, it has seen. So
 * each side is sent the BYE that the other would send.
 */
import { detached } from "../base/detached.ts";
import type { Instant } from "../base/machine.ts";
import { contactOf, type Hops, type Route, routeSetOf, targetOf } from "../sip/dialog/route-set.ts";
import { createRequest } from "../sip/message/build.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipRequest, SipResponse } from "../sip/message/message.ts";
import { isSipUri, parseUri } from "../sip/message/uri.ts";
import { originalContact } from "../sip/proxy/contact-alias.ts";
import type { Call, CallSide } from "./call.ts";
import type { OwnNames } from "./names.ts";
import type { EdgeState } from "./state.ts";

/** A dialog as both of its sides know it: From and To are those of the INVITE that was answered. */
export interface Dialog {
  readonly from: string;
  readonly to: string;
  /** Where each side is reached; undefined where it has not said so, or said what cannot be. */
  readonly hops: { caller: Hops | undefined; callee: Hops | undefined };
  /** The highest CSeq of each. */
  readonly cseq: { caller: number; callee: number };
  /** The answer has left out what we had recorded: neither side knows the way by us. */
  readonly isRouteless: boolean;
}

/** Notes the dialog that `response` begins; `recorded`: our Record-Route for the callee. */
export function noteDialog(
  { names }: EdgeState,
  call: Call,
  callee: CallSide,
  invite: SipRequest,
  response: SipResponse,
  recorded: readonly string[],
): void {
  if (call.dialogs.has(callee)) return;
  const to = response.header("to");
  const caller = call.dialogs.values().next().value ?? callersHalf(invite);
  if (caller === undefined || to === undefined) return;
  const all = routeSetOf(response, "callee");
  const ours = all === MALFORMED ? 0 : all.findIndex((route) => isOwn(names, route));
  // Those before ours are the callee's; behind it come the caller's.
  const downstream = all === MALFORMED ? all : all.slice(0, Math.max(0, ours)).toReversed();
  call.dialogs.set(callee, {
    from: caller.from,
    to: detached(to),
    hops: { caller: caller.hops.caller, callee: hopsOf(contactOf(response), downstream) },
    cseq: { caller: caller.cseq.caller, callee: 0 },
    // Our names may have changed since then, and our values say whose they are all the same.
    isRouteless:
      recorded.length > 0 && ours < 0 && !response.list("record-route").some((one) => recorded.includes(one)),
  });
}

/** The same in all dialogs of a call. */
function callersHalf(invite: SipRequest): Omit<Dialog, "to" | "isRouteless"> | undefined {
  const from = invite.header("from");
  if (from === undefined) return undefined;
  const caller = hopsOf(contactOf(invite), routeSetOf(invite, "callee"));
  return {
    from: detached(from),
    hops: { caller, callee: undefined },
    cseq: { caller: invite.cseq.number, callee: 0 },
  };
}

function isOwn(names: OwnNames, { uriText }: Route): boolean {
  const uri = parseUri(uriText);
  return uri !== MALFORMED && isSipUri(uri) && names.isOwn(uri);
}

function hopsOf(contact: string | undefined, routes: ReturnType<typeof routeSetOf>): Hops | undefined {
  if (contact === undefined || routes === MALFORMED) return undefined;
  return {
    target: detached(originalContact(contact) ?? contact),
    routes: routes.map(({ text, uriText, isLoose }) => ({ text: detached(text), uriText: detached(uriText), isLoose })),
  };
}

/** RFC 3261 §12.2.1.1: the next number of a side is above all that it has used. */
export function noteCseq(call: Call, callee: CallSide, from: "caller" | "callee", { cseq }: SipRequest): void {
  const dialog = call.dialogs.get(callee);
  if (dialog !== undefined) dialog.cseq[from] = Math.max(dialog.cseq[from], cseq.number);
}

/** Ends every call that this user has placed or answered, or that rings for the user. */
export function endCallsOf(state: EdgeState, user: string, why: string, now: Instant): void {
  state.services.endCallsOf(user, why, now);
  for (const call of state.calls.all()) if (isOf(call, user)) hangUp(state, call, why, now);
}

function isOf({ caller, answers, answeredBy, called }: Call, user: string): boolean {
  const isUser = ({ name, trunk }: CallSide): boolean => trunk === undefined && name === user;
  return isUser(caller) || [...answers].some(isUser) || (answeredBy === undefined && called === user);
}

function hangUp(state: EdgeState, call: Call, why: string, now: Instant): void {
  if (call.invite !== undefined) state.proxy.handleCancel(call.invite, now);
  for (const callee of call.answers) {
    const dialog = call.dialogs.get(callee);
    if (dialog === undefined) continue;
    sendBye(state, call, callee, { ...dialog, hops: dialog.hops.callee, number: dialog.cseq.caller + 1 }, now);
    const reversed = { from: dialog.to, to: dialog.from, hops: dialog.hops.caller, number: dialog.cseq.callee + 1 };
    sendBye(state, call, call.caller, reversed, now);
  }
  state.calls.cut(call, why, now);
}

function sendBye(
  state: EdgeState,
  { callId }: Call,
  { flow, trunk }: CallSide,
  {
    from,
    to,
    hops,
    number,
  }: { readonly from: string; readonly to: string; readonly hops: Hops | undefined; readonly number: number },
  now: Instant,
): void {
  if (hops === undefined) return;
  const { uri, routes } = targetOf(hops);
  const headers = [
    ...routes.map((value) => ["Route", value] as const),
    ["Max-Forwards", "70"],
    ["From", from],
    ["To", to],
    ["Call-ID", callId],
    ["CSeq", `${number} BYE`],
  ] as const;
  const request = createRequest({ method: "BYE", uri, headers });
  const way = trunk === undefined ? flow : state.trunks.wayTo(trunk, flow);
  const { to: where, sentBy } = state.dialogs.hopTo(way, request, trunk !== undefined);
  state.transactions.request(request, { to: where, sentBy, owner: undefined }, now);
}
