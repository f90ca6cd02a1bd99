/** Where a request came from goes into its topmost Via, and its answers go there (RFC 3261 §18.2, RFC 3581). */
import { type Address, formatIp, parseIp, sameIp } from "../base/address.ts";
import type { SipFlow } from "../sip/flow.ts";
import type { SipRequest } from "../sip/message/message.ts";
import type { Via } from "../sip/message/via.ts";

/** Writes where it came from into the request. */
export function markArrival(request: SipRequest, { remote }: SipFlow): void {
  const { via } = request;
  const said = saidBy(via);
  const isThere = said !== undefined && sameIp(said, remote);
  const wantsPort = via.params.has("rport");
  // RFC 3581 §4: with rport both are said, and neither is believed that the client had put there.
  if (!wantsPort && isThere && !via.params.has("received")) return;
  const received = ["received", formatIp(remote)] as const;
  request.setViaParams(wantsPort ? [["rport", String(remote.port)], received] : [received]);
}

/** The flow that answers take, before the request is marked and after. */
export function answersTo({ via }: SipRequest, flow: SipFlow): SipFlow {
  const { remote, transport } = flow;
  const said = saidBy(via);
  // RFC 3261 §18.2.2: who is where it says is answered at the port that it says. Who is not is behind a NAT, and is
  // answered where the request came from, whether or not it has asked for that.
  if (transport !== "udp" || via.params.has("rport")) return flow;
  if (said === undefined || !sameIp(said, remote) || said.port === remote.port) return flow;
  return { ...flow, remote: { ...remote, port: said.port } as Address };
}

function saidBy(via: Via): Address | undefined {
  const host = via.host.startsWith("[") ? via.host.slice(1, -1) : via.host;
  return parseIp(host, via.port ?? 5060);
}
