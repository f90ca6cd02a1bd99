/** Whether one NAT stands behind another: what is certain, what is likely, and what cannot be told. */
import { type Address, sameIp } from "../../base/address.ts";
import { anyPrefixContains, type Prefix, parsePrefix } from "../../base/prefix.ts";
import { type Finding, known, type LayerEvidence, type NatLayers, unknown } from "./report.ts";

function prefixes(...texts: readonly string[]): readonly Prefix[] {
  return texts.map((text) => parsePrefix(text) as Prefix);
}

/** RFC 6598 §7: the shared address space, between providers' NATs and their customers. */
const SHARED: readonly Prefix[] = prefixes("100.64.0.0/10");

/** RFC 1918 §3 and RFC 3927 §2.1: what no host outside can be sent to, besides. */
const PRIVATE: readonly Prefix[] = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16");

export function isSharedAddress(address: Readonly<Address>): boolean {
  return anyPrefixContains(SHARED, address);
}

/** `seen`: every address that servers saw. */
export function judgeLayers(
  translated: boolean,
  { sharedAddress, gatewayAddress, filterHops }: LayerEvidence,
  seen: readonly Readonly<Address>[],
): Finding<NatLayers> {
  if (!translated) return unknown("no-nat");
  const isBeyondGateway = filterHops.known && filterHops.value > 1;
  if (gatewayAddress.known) {
    const gateway = gatewayAddress.value;
    if (seen.some((one) => sameIp(one, gateway))) return known("one");
    const isTranslated = anyPrefixContains(PRIVATE, gateway) || isSharedAddress(gateway);
    // A gateway with several public addresses, or several ways out, tells one and may use another; and a filter further
    // out may be a firewall that translates nothing.
    return known(isTranslated ? "several" : "probably-several");
  }
  if (sharedAddress) return known("provider");
  // It has just translated our packets: most likely its address is a private one, which many will not tell.
  const hasNone = gatewayAddress.why === "gateway-without-address";
  // A filter at the first hop does not exclude a NAT behind it that lets everybody in.
  return isBeyondGateway || hasNone ? known("probably-several") : unknown("no-evidence");
}
