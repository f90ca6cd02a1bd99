/** A call that we place: rung somewhere or in several places, answered by one, by several, or by none. */
import type { Instant } from "../../base/machine.ts";
import { dialogOfResponse } from "../dialog/dialog.ts";
import { hexOf } from "../digest/algorithm.ts";
import type { SipFlow, SipTarget } from "../flow.ts";
import { createRequest, type HeaderLine } from "../message/build.ts";
import type { SipResponse } from "../message/message.ts";
import { repeatAck, sendAck } from "./acknowledge.ts";
import { answeringChallenge, InviteAttempt, send } from "./attempt.ts";
import { type LocalParty, UaCall } from "./call.ts";
import { descriptionIn, sessionHeaders, type UaContext } from "./context.ts";
import { sendBye } from "./hang-up.ts";

/** More places than a call rings at; who answers beyond them is still heard. */
const MAX_EARLY = 32;
const CALL_ID_LENGTH = 16;

export interface Placing {
  readonly local: LocalParty;
  /** Who is called, a URI. */
  readonly uri: string;
  readonly hop: SipFlow | SipTarget;
  /** Route values, where the next hop wants to be named. */
  readonly routes?: readonly string[];
  /** The offer; undefined: the other side shall make one. */
  readonly description: string | undefined;
}

/** Throws `PosternError` for a URI, or a description's header, that is none. */
export function placeCall(context: UaContext, placing: Placing, now: Instant): UaCall {
  const { local, uri, hop, routes = [], description } = placing;
  const call = new UaCall(context.nextCall(), "caller", local, hop);
  const headers: HeaderLine[] = [
    ...routes.map((value): HeaderLine => ["Route", value]),
    ["Max-Forwards", "70"],
    ["From", `${local.address};tag=${context.newTag()}`],
    ["To", `<${uri}>`],
    ["Call-ID", hexOf(context.ports.random.bytes(CALL_ID_LENGTH))],
    ["CSeq", "1 INVITE"],
    ...sessionHeaders(call, description),
  ];
  const request = createRequest({ method: "INVITE", uri, headers, body: description ?? "" });
  call.invite = new InviteAttempt(call, description !== undefined);
  context.calls.add(call);
  send(context.transactions, call.invite, request, { to: hop, sentBy: local.sentBy }, now);
  return call;
}

export function handleInviteResponse(
  context: UaContext,
  attempt: InviteAttempt,
  response: SipResponse,
  now: Instant,
): void {
  if (response.status === 100) return;
  if (response.status < 200) handleProvisional(context, attempt, response);
  else if (response.status < 300) handleSuccess(context, attempt, response, now);
  else handleRefusal(context, attempt, response, now);
}

export function handleInviteFailed(context: UaContext, { call }: InviteAttempt): void {
  context.end(call, call.isHangingUp ? "ended" : "lost");
}

function handleProvisional(context: UaContext, { call, request }: InviteAttempt, response: SipResponse): void {
  if (call.dialog !== undefined || call.state === "ended" || call.isHangingUp) return;
  const { status, toTag } = response;
  const description = descriptionIn(response);
  call.state = "ringing";
  // RFC 3261 §12.1: without a tag there is no dialog yet.
  if (toTag !== undefined) {
    const leg = call.early.get(toTag);
    if (leg !== undefined) leg.description ??= description;
    else if (call.early.size < MAX_EARLY) {
      const dialog = dialogOfResponse(request, response);
      call.early.set(toTag, { dialog, description });
      context.dialogs.set(dialog.key, call);
    }
  }
  context.outputs.push({ kind: "progress", call, status, tag: toTag ?? "", description });
}

function handleSuccess(context: UaContext, attempt: InviteAttempt, response: SipResponse, now: Instant): void {
  const { call, acks } = attempt;
  const tag = response.toTag ?? "";
  if (acks.has(tag)) return repeatAck(context, call, acks.get(tag));
  const leg = call.early.get(tag);
  leg?.dialog.confirm(response);
  const dialog = leg?.dialog ?? dialogOfResponse(attempt.request, response);
  const isSurplus = call.dialog !== undefined || call.state === "ended";
  // RFC 3261 §13.2.2.4: every 2xx makes a dialog; those that nobody wants are acknowledged and ended at once. So is one
  // that has crossed our CANCEL (§15.1.1).
  if (isSurplus || call.isHangingUp) {
    acks.set(tag, sendAck(context, call, dialog, attempt.request, undefined));
    sendBye(context, call, now, dialog);
    if (!isSurplus) context.end(call, "ended");
    return;
  }
  for (const early of call.early.values()) context.dialogs.delete(early.dialog.key);
  call.early.clear();
  call.dialog = dialog;
  call.state = "confirmed";
  context.dialogs.set(dialog.key, call);
  context.outputs.push({ kind: "answered", call });
  agree(context, attempt, response, leg?.description, now);
}

function agree(
  context: UaContext,
  attempt: InviteAttempt,
  response: SipResponse,
  early: string | undefined,
  now: Instant,
): void {
  const { call, hasOffer, acks, request } = attempt;
  const { dialog } = call;
  if (dialog === undefined) return;
  // RFC 3261 §13.2.1: the first answer counts, in whatever response it came.
  const description = hasOffer ? (early ?? descriptionIn(response)) : descriptionIn(response);
  if (!hasOffer && description !== undefined) {
    acks.set(dialog.remoteTag, undefined);
    call.acknowledging = { attempt };
    context.outputs.push({ kind: "offered", call, offer: description });
    return;
  }
  acks.set(dialog.remoteTag, sendAck(context, call, dialog, request, undefined));
  if (description !== undefined) context.outputs.push({ kind: "agreed", call, answer: description });
  else {
    sendBye(context, call, now);
    context.end(call, "no-answer");
  }
}

function handleRefusal(context: UaContext, attempt: InviteAttempt, response: SipResponse, now: Instant): void {
  const { call } = attempt;
  const { status, reason } = response;
  if (call.state === "ended" || call.isHangingUp) return context.end(call, "ended");
  const again = answeringChallenge(context.ports, attempt, response, call.local, attempt.request.cseq.number + 1);
  if (again === undefined) context.end(call, "refused", status, reason);
  else send(context.transactions, attempt, again, { to: call.hop, sentBy: call.local.sentBy }, now);
}
