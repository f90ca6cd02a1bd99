/**
 * Calls that a restart has made unknown, or whose record was closed too early. Their dialogs go on by their tokens, but the
 * relay's ports are gone: the next offer within the dialog, a session refresh say (RFC 4028 §7.4), makes the call known
 * again, and leads its media through new ports.
 */
import type { Instant } from "../base/machine.ts";
import { words } from "../sdp/connection.ts";
import type { SipMessage, SipRequest } from "../sip/message/message.ts";
import { isSipUri } from "../sip/message/uri.ts";
import { userOf } from "../sip/registrar/address-of-record.ts";
import type { CallSide } from "./call.ts";
import { fullFor } from "./call-room.ts";
import { noteRefusal } from "./refusals.ts";
import { hasSession, replaceSession, sessionOf } from "./session-body.ts";
import type { DialogContext, EdgeState } from "./state.ts";

/** So that what is added to a version is small: some phones keep versions in 32 bits. */
const EPOCH = 1_700_000_000;
const LARGEST_VERSION = 2n ** 63n - 1n;

/** The request's dialog with its call, where there is one; a number: what the sender is told instead. */
export function resumed(
  state: EdgeState,
  request: SipRequest,
  dialog: DialogContext,
  now: Instant,
): DialogContext | number {
  if (!resumes(request, dialog)) return dialog;
  const { from, to, token } = dialog;
  const isCallers = token.from === "caller";
  const [fromTag, toTag] = [request.fromTag ?? "", request.toTag ?? ""];
  const tags = isCallers ? { callerTag: fromTag, calleeTag: toTag } : { callerTag: toTag, calleeTag: fromTag };
  const [caller, callee] = isCallers ? [from, to] : [to, from];
  const limit = fullFor(state, caller, callee);
  if (limit !== undefined) {
    noteRefusal(state, limit, from.flow, from.name, now);
    // RFC 3261 §14.2: it was not changed, and goes on as it was agreed.
    return 503;
  }
  const sides = { caller, callee, called: calledOf(callee, (isCallers ? request.to : request.from).uri) };
  const call = state.calls.resume({ callId: request.callId, ...tags }, sides, state.ports.wallClock.now(), now);
  // RFC 3261 §12.2.2: one of them has hung up, and the other does so when it hears that.
  return call === undefined ? 481 : { ...dialog, call, makesKnown: true };
}

/** Whether a request makes a call known again. An INVITE without an offer asks for one. */
export function resumes(request: SipRequest, { call }: DialogContext): boolean {
  if (call !== undefined) return false;
  return request.method === "INVITE" || (request.method === "UPDATE" && hasSession(request));
}

function calledOf({ name, trunk }: CallSide, uri: SipRequest["uri"]): string {
  const number = trunk !== undefined && isSipUri(uri) ? userOf(uri) : undefined;
  return number ?? name;
}

/**
 * RFC 3264 §8: a description of the version that the receiver has already changes nothing for many phones; this one has
 * other ports than it had before the restart.
 * DEVIATES RFC 3264 §8: the version grows by more than one, so that after a second restart it is another again.
 */
export function renumber(message: SipMessage, { resumedAt }: { readonly resumedAt: number | undefined }): void {
  const document = resumedAt === undefined ? undefined : sessionOf(message);
  if (resumedAt === undefined || typeof document !== "object") return;
  document.session.replace("o", (origin) => {
    const [user, id, version = "", ...where] = words(origin);
    const next = /^\d{1,19}$/.test(version) ? BigInt(version) + BigInt(Math.max(1, resumedAt - EPOCH)) : undefined;
    return next === undefined || next > LARGEST_VERSION ? origin : [user, id, next, ...where].join(" ");
  });
  replaceSession(message, document);
}
