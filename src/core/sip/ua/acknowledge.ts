/** The ACK for a 2xx: sent once by us, and again with every repetition of the 2xx (RFC 3261 §13.2.2.4). */
import type { Dialog } from "../dialog/dialog.ts";
import { hexOf } from "../digest/algorithm.ts";
import type { HeaderLine } from "../message/build.ts";
import type { SipRequest } from "../message/message.ts";
import { BRANCH_COOKIE } from "../message/via.ts";
import { InviteAttempt } from "./attempt.ts";
import type { UaCall } from "./call.ts";
import { SDP, type UaContext } from "./context.ts";

const CREDENTIALS: readonly string[] = ["Authorization", "Proxy-Authorization"];
const BRANCH_LENGTH = 12;

/** Sends it, and gives it back for the next time. `invite`: as it was sent. */
export function sendAck(
  context: UaContext,
  call: UaCall,
  dialog: Dialog,
  invite: SipRequest,
  description: string | undefined,
): string {
  const { hop, local } = call;
  // RFC 3261 §22.1: an ACK has its INVITE's credentials, because it cannot be challenged.
  const credentials = CREDENTIALS.flatMap((name) => {
    return invite.headers.values(name).map((value): HeaderLine => [name, value]);
  });
  const type: HeaderLine[] = description === undefined ? [] : [["Content-Type", SDP]];
  const ack = dialog.ack(invite.cseq.number, [...credentials, ...type], description);
  const branch = `${BRANCH_COOKIE}${hexOf(context.ports.random.bytes(BRANCH_LENGTH))}`;
  ack.prependVia(`SIP/2.0/${hop.transport.toUpperCase()} ${local.sentBy};branch=${branch};rport`);
  const text = ack.format();
  context.outputs.push({ kind: "send", to: hop, text });
  return text;
}

/** Of the 2xx that has brought an offer, with our answer to it. */
export function acknowledge(context: UaContext, call: UaCall, description: string | undefined): void {
  const { acknowledging, dialog } = call;
  if (acknowledging === undefined || dialog === undefined) return;
  const { attempt } = acknowledging;
  call.acknowledging = undefined;
  const ack = sendAck(context, call, dialog, attempt.request, description);
  if (attempt instanceof InviteAttempt) attempt.acks.set(dialog.remoteTag, ack);
  else attempt.ack = ack;
}

export function repeatAck(context: UaContext, { hop }: UaCall, ack: string | undefined): void {
  if (ack !== undefined) context.outputs.push({ kind: "send", to: hop, text: ack });
}
