/** Where a request came from goes into its topmost Via, and its answers go there (RFC 3261 §18.2, RFC 3581). */
import { type Address, formatIp, parseIp, sameIp } from "../base/address.ts";
import type { SipFlow } from "../sip/flow.ts";
import type { SipRequest } from "../sip/message/message.ts";

/** Marks the request, and gives the flow that its answers take. */
export function markArrival(request: SipRequest, flow: SipFlow): SipFlow {
  const { via } = request;
  const { remote } = flow;
  const host = via.host.startsWith("[") ? via.host.slice(1, -1) : via.host;
  const said = parseIp(host, via.port ?? 5060);
  const isThere = said !== undefined && sameIp(said, remote);
  const wantsPort = via.params.has("rport");
  // RFC 3581 §4: with rport both are said, and neither is believed that the client had put there.
  if (wantsPort) request.setViaParam("rport", String(remote.port));
  if (wantsPort || !isThere || via.params.has("received")) request.setViaParam("received", formatIp(remote));
  // RFC 3261 §18.2.2: who is where it says is answered at the port that it says. Who is not is behind a NAT, and is
  // answered where the request came from, whether or not it has asked for that.
  if (flow.transport !== "udp" || wantsPort || !isThere || said.port === remote.port) return flow;
  return { ...flow, remote: { ...remote, port: said.port } as Address };
}
