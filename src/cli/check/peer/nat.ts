/** What is known of the NAT in front of this machine: asked of the servers while ICE is under way. */
import type { Address } from "../../../core/base/address.ts";
import type { BehaviorReport } from "../../../core/stun/behavior/report.ts";
import { localAddressToward } from "../../../node/local-address.ts";
import { discoverNat } from "../../../node/nat-discovery.ts";
import type { Target } from "../targets.ts";

/** The families are tried in this order: where both are, IPv4 is the one with the NAT. */
const families = [4, 6] as const;

/** Undefined where no server is asked over UDP, or none answers before the signal. */
export async function findNat(targets: readonly Target[], signal: AbortSignal): Promise<BehaviorReport | undefined> {
  const addresses = targets.filter(({ transport }) => transport === "udp").map(({ address }) => address);
  const family = families.find((one) => addresses.some((address) => address.family === one));
  const servers = distinct(addresses.filter((address) => address.family === family));
  const local = servers[0] && (await localAddressToward(servers[0]));
  if (local === undefined) return undefined;
  return discoverNat({ local, servers, gateway: true, signal }).catch(() => undefined);
}

function distinct(addresses: readonly Readonly<Address>[]): Readonly<Address>[] {
  return [...new Map(addresses.map((one) => [JSON.stringify(one), one])).values()];
}
