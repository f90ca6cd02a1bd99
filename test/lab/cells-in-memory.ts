/** The lab's plan in natlab: the same hosts at the same addresses, behind NATs that behave as the lab's are declared. */
import { formatAddress } from "../../src/core/base/address.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/core/base/utf8.ts";
import { nats } from "../../src/lab/nats.ts";
import type { GatewayDeclaration, Plan } from "../../src/lab/topology.ts";
import type { NatBehavior } from "../../src/natlab/behavior.ts";
import type { Host } from "../../src/natlab/host.ts";
import type { Link } from "../../src/natlab/link.ts";
import { toAddress } from "../../src/natlab/surroundings.ts";
import type { UdpSocket } from "../../src/natlab/udp-socket.ts";
import { World } from "../../src/natlab/world.ts";
import type { Ground, Heard } from "./cells-play.ts";

export interface PlannedWorld {
  readonly world: World;
  readonly hosts: ReadonlyMap<string, Host>;
}

export function declared({ nat }: GatewayDeclaration): NatBehavior {
  return nats[nat].behavior;
}

export function worldOf(plan: Plan, behaviorOf: (declaration: GatewayDeclaration) => NatBehavior): PlannedWorld {
  const world = new World({ seed: 7 });
  const internet = world.link("internet");
  const links = new Map<string, Link>();
  for (const { name, inside } of plan.gateways) links.set(inside, world.link(`behind ${name}`));
  for (const { name, declaration, outside, inside, via } of plan.gateways) {
    world
      .gateway(name, { nat: behaviorOf(declaration) })
      .outside(via === undefined ? internet : links.get(via)!, outside)
      .inside(links.get(inside)!, `${inside}/24`);
  }
  const hosts = plan.hosts.map(({ name, addresses, site }) => {
    const router = plan.gateways.find((one) => one.site === site);
    const link = router === undefined ? internet : links.get(router.inside)!;
    return [name, world.host(name).attach(link, ...addresses)] as const;
  });
  return { world, hosts: new Map(hosts) };
}

export interface SocketPlace {
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

export class MemoryGround implements Ground {
  readonly heard: Heard[] = [];
  readonly #world: World;
  readonly #lifetime: number;
  readonly #sockets: Map<string, UdpSocket> = new Map();

  constructor({ world, hosts }: PlannedWorld, places: ReadonlyMap<string, SocketPlace>, lifetime: number) {
    this.#world = world;
    this.#lifetime = lifetime;
    for (const [name, { host, address, port }] of places) {
      const socket = hosts.get(host)!.socket({ address, port });
      socket.onMessage = (data, from) =>
        this.heard.push({ text: decodeUtf8(data) ?? "", by: name, from: formatAddress(from) });
      this.#sockets.set(name, socket);
    }
  }

  addressOf(socket: string): string {
    return formatAddress(this.#sockets.get(socket)!.address);
  }

  async send(from: string, to: string, text: string): Promise<void> {
    const [address = "", port] = to.split(":");
    this.#sockets.get(from)!.send(encodeUtf8(text), toAddress(address, Number(port)));
    this.#world.advance(1);
  }

  async wait(lifetimes: number): Promise<void> {
    this.#world.advance(lifetimes * this.#lifetime);
  }
}
