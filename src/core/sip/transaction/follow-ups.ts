/** What an INVITE client transaction sends of its own: the ACK for a refusal, and the CANCEL. */
import { headerField } from "../message/header-field.ts";
import { Headers } from "../message/headers.ts";
import { SipRequest, type SipResponse } from "../message/message.ts";
import type { ClientTransaction } from "./client.ts";

// RFC 3261 §17.1.1.3: the INVITE's Request-URI, Via and Route, the response's To.
export function ackOf({ request }: ClientTransaction, response: SipResponse): SipRequest {
  return follow(request, "ACK", response.header("to") ?? "");
}

// RFC 3261 §9.1: all as in the INVITE, the topmost Via alone.
export function cancelOf(transaction: ClientTransaction): SipRequest {
  const { request } = transaction;
  return follow(request, "CANCEL", request.header("to") ?? "");
}

function follow(invite: SipRequest, method: "ACK" | "CANCEL", to: string): SipRequest {
  const [via = ""] = invite.list("via");
  const headers = new Headers([
    headerField("Via", via),
    headerField("Max-Forwards", "70"),
    ...invite.headers.fields.filter(({ name }) => name === "route"),
    headerField("From", invite.header("from") ?? ""),
    headerField("To", to),
    headerField("Call-ID", invite.callId),
    headerField("CSeq", `${invite.cseq.number} ${method}`),
    headerField("Content-Length", "0"),
  ]);
  return new SipRequest(method, invite.uriText, headers, "");
}
