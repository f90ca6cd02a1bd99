/** What was seen of NATs behind NATs, in words, and what it means for a call. */
import { formatIp } from "../../core/base/address.ts";
import type { BehaviorReport, LayerEvidence } from "../../core/stun/behavior/report.ts";

const CARRIER = "for example the provider's (CGN)";

function hopsAway(hops: number): string {
  return `${hops} ${hops === 1 ? "hop" : "hops"} away`;
}

/** What makes another NAT probable. */
function hint({ gatewayAddress, filterHops }: LayerEvidence): string {
  const far = filterHops.known && filterHops.value > 1 ? `the outermost is ${hopsAway(filterHops.value)}` : undefined;
  if (gatewayAddress.known) {
    const other = `the router's own address ${formatIp(gatewayAddress.value)} is not the one seen`;
    return far === undefined ? other : `${other}, and ${far}`;
  }
  if (far !== undefined) return far;
  return "the router says that it has no public address";
}

/** Undefined: nothing was seen, and the reason is said elsewhere. */
export function describeLayers({ layers, layerEvidence, local }: BehaviorReport): string | undefined {
  const { gatewayAddress, filterHops } = layerEvidence;
  const gateway = gatewayAddress.known ? formatIp(gatewayAddress.value) : undefined;
  if (!layers.known) {
    if (layers.why !== "no-evidence" || !filterHops.known) return undefined;
    return `one is seen, ${hopsAway(filterHops.value)}; another that lets everybody in may stand behind it`;
  }
  switch (layers.value) {
    case "one":
      return `one: the router itself has the public address ${gateway}`;
    case "several":
      return `several: the router's own address ${gateway} is translated again, ${CARRIER}`;
    case "provider":
      return `the provider's (CGN), or a VPN's: ${local === undefined ? "the address here" : formatIp(local)} is one that providers share out`;
    case "probably-several":
      return `${hint(layerEvidence)}: the router is probably behind another NAT, ${CARRIER}`;
  }
}

export interface LayerJudgement {
  readonly fails: readonly string[];
  readonly change: readonly string[];
}

/** Calls get through several NATs as through one; what is opened by hand in one of them alone is of no use. */
export function judgeLayers({ layers }: BehaviorReport): LayerJudgement {
  if (!layers.known || (layers.value !== "several" && layers.value !== "provider")) return { fails: [], change: [] };
  return {
    fails: ["Port forwarding and UPnP in the router here: another NAT stands behind it."],
    change: ["To be reached without a relay by everybody, ask the provider for a public IPv4 address, or use IPv6."],
  };
}
