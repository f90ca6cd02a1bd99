/** Servers that stand in our own network see nothing of the NAT at its edge: what works toward them says nothing of the internet. */
import { anyPrefixContains, type Prefix, parsePrefix } from "../../core/base/prefix.ts";
import type { BehaviorReport } from "../../core/stun/behavior/report.ts";

/** RFC 6890 §2.2.2 and §2.2.3: no server on the internet sees one of these. */
const INNER: readonly Prefix[] = [
  ...["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
  ...["::1/128", "fc00::/7", "fe80::/10"],
].map((text) => parsePrefix(text) as Prefix);

export function isSeenInsideOnly({ publicAddresses }: BehaviorReport): boolean {
  return publicAddresses.length > 0 && publicAddresses.every((address) => anyPrefixContains(INNER, address));
}
