/** Where a packet goes next in a plan, by its destination alone. */
import type { Plan, PlannedGateway } from "../topology.ts";

export function ipOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":"));
}

export function portOf(endpoint: string): number {
  return Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
}

function sharesNetwork(one: string, other: string): boolean {
  return one.slice(0, one.lastIndexOf(".")) === other.slice(0, other.lastIndexOf("."));
}

export class Routes {
  readonly #plan: Plan;
  readonly #gateways: Map<string, PlannedGateway>;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#gateways = new Map(plan.gateways.map((gateway) => [gateway.name, gateway]));
  }

  /** Undefined: it is a host. */
  gateway(name: string): PlannedGateway | undefined {
    return this.#gateways.get(name);
  }

  owner(address: string): string | undefined {
    return (
      this.#plan.hosts.find(({ addresses }) => addresses.includes(address))?.name ??
      this.#plan.gateways.find(({ inside, outside }) => address === inside || address === outside)?.name
    );
  }

  isInside({ inside }: PlannedGateway, address: string): boolean {
    return sharesNetwork(inside, address);
  }

  /** The neighbour that gets what `node` sends to `address`; undefined: nobody has it there. */
  next(node: string, address: string): string | undefined {
    const gateway = this.gateway(node);
    return gateway === undefined ? this.#fromHost(node, address) : this.#fromGateway(gateway, address);
  }

  #fromHost(name: string, address: string): string | undefined {
    const host = this.#plan.hosts.find((one) => one.name === name);
    const router = this.#plan.gateways.find(({ site }) => site === host?.site);
    if (router === undefined) return this.#onInternet(address);
    return this.isInside(router, address) ? this.owner(address) : router.name;
  }

  #fromGateway(gateway: PlannedGateway, address: string): string | undefined {
    if (this.isInside(gateway, address)) return this.owner(address);
    const onward = this.#plan.gateways.find(({ inside }) => inside === gateway.via);
    if (onward === undefined) return this.#onInternet(address);
    return sharesNetwork(gateway.outside, address) ? this.owner(address) : onward.name;
  }

  #onInternet(address: string): string | undefined {
    const host = this.#plan.hosts.find(({ site, addresses }) => site === undefined && addresses.includes(address));
    const gateway = this.#plan.gateways.find(({ via, outside }) => via === undefined && outside === address);
    return host?.name ?? gateway?.name;
  }
}
