/** Why two machines have no direct path, as far as their NATs tell, and what would give them one. */

import { formatIp } from "../../../core/base/address.ts";
import type { Reason } from "../../../core/ice/reasons.ts";
import type { IceReport } from "../../../core/ice/report.ts";
import { parsePeer } from "../../../node/turn-client/peer.ts";
import type { End } from "./end.ts";

export interface Ends {
  readonly own: End;
  readonly peer: End;
}

const BY_DESTINATION = "gives every destination another port, so that nobody can be told where to send";

/** Causes that name the NATs already. */
const TELLING = [
  "both-map-by-destination",
  "own-nat-maps-by-destination",
  "peer-nat-maps-by-destination",
  "udp-blocked",
];

function mapsByDestination({ nat }: End): boolean {
  return nat?.mapping !== undefined && nat.mapping !== "endpoint-independent";
}

function isOneNat({ own, peer }: Ends): boolean {
  if (own.outside === undefined || peer.outside === undefined) return false;
  return formatIp(parsePeer(own.outside)) === formatIp(parsePeer(peer.outside));
}

/** Whose UDP does not get out, for a sentence. */
function withoutUdp({ own, peer }: Ends): string | undefined {
  if (own.noUdp === true) return peer.noUdp === true ? "neither network lets" : "this machine's network does not let";
  return peer.noUdp === true ? "the other machine's network does not let" : undefined;
}

function whyNotDirect(ends: Ends): string {
  const [own, peer] = [mapsByDestination(ends.own), mapsByDestination(ends.peer)];
  const shut = withoutUdp(ends);
  if (shut !== undefined) return `No direct path: ${shut} UDP out, or back in: no STUN server has answered.`;
  if (isOneNat(ends)) {
    return "No direct path: both are behind one NAT, which turns no packets around (hairpinning), and do not reach each other inside.";
  }
  if (own && peer) return `No direct path: the NATs of both ends are symmetric; each ${BY_DESTINATION}.`;
  if (own)
    return `No direct path: this machine's NAT ${BY_DESTINATION}, and the other end lets in only what it has sent to.`;
  if (peer)
    return `No direct path: the other machine's NAT ${BY_DESTINATION}, and this end lets in only what it has sent to.`;
  return "No direct path was found, and what is known of the NATs does not say why: perhaps a firewall, at either end.";
}

function whatWouldHelp(ends: Ends): string {
  if (withoutUdp(ends) !== undefined) return "For a direct path: have the firewall let UDP through.";
  if (isOneNat(ends))
    return "For a direct path: let hosts of this network reach each other, or switch hairpinning on in its router.";
  const [own, peer] = [mapsByDestination(ends.own), mapsByDestination(ends.peer)];
  if (!own && !peer) return "For a direct path: let UDP through the firewalls at both ends, or use IPv6 at both.";
  const nats = own && peer ? "both NATs" : `the NAT ${own ? "here" : "there"}`;
  return `For a direct path: set ${nats} to use the same port toward everybody (“cone”), or one NAT to let in everybody (“full cone”), or use IPv6 at both ends.`;
}

/** Why the path is relayed, and what would make it direct. */
export function adviseOnRelayed(ends: Ends): string[] {
  return [whyNotDirect(ends), whatWouldHelp(ends)];
}

/** Why there is none at all. */
export function adviseOnFailed(
  ends: Ends,
  { relayFailures }: Pick<IceReport, "relayFailures">,
  { code, help }: Reason,
): string[] {
  const why = TELLING.includes(code) ? [] : [whyNotDirect(ends)];
  const relays = relayFailures.map((one) => `The relay was of no use: ${one}`);
  return [...why, ...relays, ...(help === undefined ? [] : [help])];
}
