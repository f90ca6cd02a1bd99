/** By what requests and responses find their transaction (RFC 3261 §17.1.3, §17.2.3). */
import type { SipRequest, SipResponse } from "../message/message.ts";
import { uniqueBranch } from "../message/via.ts";

/** Of a server transaction. An ACK has the key of its INVITE, and for a CANCEL the method that it cancels is asked. */
export function serverKey(request: SipRequest, method: string = keyMethod(request.method)): string {
  const { via } = request;
  const branch = uniqueBranch(via);
  if (branch === undefined) return oldKey(request, method);
  // RFC 3261 §17.2.3: sent-by is part of it, because a branch is only unique for who made it.
  return `${branch}\n${via.host.toLowerCase()}:${via.port ?? ""}\n${method}`;
}

export function clientKey(branch: string, method: string): string {
  return `${branch}\n${method}`;
}

export function responseKey(response: SipResponse): string | undefined {
  const branch = response.via.params.get("branch");
  return branch === undefined ? undefined : clientKey(branch, response.cseq.method);
}

// RFC 3261 §17.2.3: what elements of RFC 2543 send is told by these fields; an ACK's To has a tag that its INVITE had not.
function oldKey(request: SipRequest, method: string): string {
  const { via, callId, cseq, fromTag, uriText } = request;
  const sentBy = `${via.host}:${via.port ?? ""};${via.params.get("branch") ?? ""}`;
  return [uriText, callId, cseq.number, fromTag ?? "", sentBy, method].join("\n");
}

function keyMethod(method: string): string {
  return method === "ACK" ? "INVITE" : method;
}
