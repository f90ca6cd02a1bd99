/** Which open listeners make the squares of NAT behaviour discovery: two addresses by two ports, of UDP and of TCP. */
import { type Address, sameAddress } from "../core/base/address.ts";
import type { RelayAddress } from "../core/turn/server/config.ts";
import type { DiscoverySocket, DiscoverySquare } from "../core/turn/server/discovery-sites.ts";
import type { BoundListener } from "../node/turn-service.ts";
import type { DiscoveryPair } from "./address-plan.ts";

type Ports = Readonly<Record<BoundListener["transport"], number | undefined>>;

/** Squares whose four corners are all open. */
export function discoverySquares(
  pairs: readonly DiscoveryPair[],
  open: readonly BoundListener[],
  ports: Ports,
  alternatePort: number,
): DiscoverySquare[] {
  return (["udp", "tcp"] as const).flatMap((transport) => {
    const port = ports[transport];
    if (port === undefined) return [];
    const listeners = open.filter((one) => one.transport === transport);
    return pairs.flatMap(([first, second]) => {
      const [a, b] = [row(first, listeners, [port, alternatePort]), row(second, listeners, [port, alternatePort])];
      return a === undefined || b === undefined ? [] : [[a, b] as const];
    });
  });
}

function row(
  { bound, advertised }: RelayAddress,
  listeners: readonly BoundListener[],
  [primary, alternate]: readonly [number, number],
): readonly [DiscoverySocket, DiscoverySocket] | undefined {
  const corner = (port: number): DiscoverySocket | undefined => {
    const at: Readonly<Address> = { ...bound, port };
    const listener = listeners.find(({ address }) => sameAddress(address, at));
    return listener && { listener: listener.id, bound: at, advertised: { ...advertised, port } };
  };
  const [one, other] = [corner(primary), corner(alternate)];
  return one === undefined || other === undefined ? undefined : [one, other];
}
