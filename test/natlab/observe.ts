/**
 * What can be seen of a NAT from both its sides: by a client that asks servers as RFC 5780 describes, and by two hosts
 * that punch holes toward each other as ICE does.
 */
import assert from "node:assert/strict";
import { type Address, formatAddress } from "../../src/core/base/address.ts";
import { after } from "../../src/core/base/machine.ts";
import type { Dependence, NatBehavior } from "../../src/natlab/behavior.ts";
import type { Gateway } from "../../src/natlab/gateway.ts";
import type { Host } from "../../src/natlab/host.ts";
import type { Link } from "../../src/natlab/link.ts";
import type { Discovery } from "../../src/natlab/oracle.ts";
import { toAddress } from "../../src/natlab/surroundings.ts";
import type { UdpSocket } from "../../src/natlab/udp-socket.ts";
import { World } from "../../src/natlab/world.ts";
import { listen, say } from "./inbox.ts";

/** `aa`: first address, first port; `ba`: second address, first port … */
type ServerSocket = "aa" | "ab" | "ba" | "bb";

/** Answers "answer from ab" with the address it was asked from, and sends what else it is told to. */
export class Servers {
  readonly #world: World;
  readonly sockets: Readonly<Record<ServerSocket, UdpSocket>>;

  constructor(world: World, internet: Link) {
    this.#world = world;
    const host = world.host("servers").attach(internet, "198.51.100.1", "198.51.100.2");
    const socket = (address: string, port: number) => host.socket({ address, port });
    this.sockets = {
      aa: socket("198.51.100.1", 3478),
      ab: socket("198.51.100.1", 3479),
      ba: socket("198.51.100.2", 3478),
      bb: socket("198.51.100.2", 3479),
    };
    for (const one of Object.values(this.sockets)) {
      one.onMessage = (data, from) => {
        const answerer = String.fromCharCode(...data) as ServerSocket;
        say(this.sockets[answerer], formatAddress(from), from);
      };
    }
  }

  /** The address that `asked` sees of `client`, when its answer from `answerer` arrives. */
  ask(client: UdpSocket, asked: ServerSocket = "aa", answerer: ServerSocket = asked): string | undefined {
    const heard = listen(this.#world, client);
    say(client, answerer, this.sockets[asked].address);
    this.#world.advance(0);
    assert.ok(heard.every(({ from }) => from === formatAddress(this.sockets[answerer].address)));
    return heard[0]?.text;
  }
}

export function parse(text: string | undefined): Address {
  const [, ip, port] = /^(.+):(\d+)$/.exec(text ?? "") ?? assert.fail(`${text} is no address`);
  return toAddress(ip as string, Number(port));
}

function mappingOf(servers: Servers, client: UdpSocket): Dependence {
  const [first, second, third] = (["aa", "ba", "bb"] as const).map((server) => servers.ask(client, server));
  assert.ok(first && second && third);
  if (first === second && first === third) return "endpoint-independent";
  return second === third ? "address-dependent" : "address-and-port-dependent";
}

function filteringOf(servers: Servers, fresh: () => UdpSocket): Dependence {
  if (servers.ask(fresh(), "aa", "bb") !== undefined) return "endpoint-independent";
  return servers.ask(fresh(), "aa", "ab") !== undefined ? "address-dependent" : "address-and-port-dependent";
}

function portsOf(servers: Servers, client: Host): Discovery["ports"] {
  const inside = [40_000, 40_002, 40_010, 40_020];
  const outside = inside.map((port) => parse(servers.ask(client.socket({ port }))).port);
  if (outside.every((port, n) => port === inside[n])) return "preserved";
  const steps = new Set(outside.slice(1).map((port, n) => port - (outside[n] as number)));
  const [step] = steps;
  return steps.size === 1 && step !== undefined ? step : "unpredictable";
}

function hairpinOf(world: World, servers: Servers, client: UdpSocket): NatBehavior["hairpin"] {
  const own = parse(servers.ask(client));
  const heard = listen(world, client);
  say(client, "echo", own);
  world.advance(0);
  const [echo] = heard;
  if (echo === undefined) return "none";
  return echo.from === formatAddress(client.address) ? "internal" : "external";
}

/** Whether a mapping that was made and left alone still lets its server in after `ms`. */
function livesFor(ms: number, world: World, servers: Servers, client: UdpSocket): boolean {
  const outside = parse(servers.ask(client));
  const heard = listen(world, client);
  world.advance(ms);
  say(servers.sockets.aa, "still there?", outside);
  world.advance(0);
  return heard.length > 0;
}

/** A client behind `gateway`s in a row, the last of them at the servers. */
export function behind(seed: number, ...behaviors: readonly NatBehavior[]) {
  const world = new World({ seed });
  const links = [...behaviors.map((_, n) => world.link(`inside ${n}`)), world.link("internet")];
  const gateways = behaviors.map((nat, n) => {
    const outside = n === behaviors.length - 1 ? "203.0.113.10" : `100.64.${n}.10`;
    const inside = n === 0 ? "192.168.1.1/24" : `100.64.${n - 1}.1/24`;
    return world
      .gateway(`nat ${n}`, { nat })
      .outside(links[n + 1] as Link, outside)
      .inside(links[n] as Link, inside);
  });
  const client = world.host("client").attach(links[0] as Link, "192.168.1.2");
  const servers = new Servers(world, links.at(-1) as Link);
  return { world, links, gateways, gateway: gateways[0] as Gateway, client, servers };
}

/** Everything that discovery sees; each test on sockets of its own, so that none opens the way for another. */
export function discover({
  world,
  client,
  servers,
}: ReturnType<typeof behind>): Omit<Discovery, "classic" | "lifetime"> {
  let port = 50_000;
  const fresh = (): UdpSocket => client.socket({ port: (port += 2) });
  return {
    ports: portsOf(servers, client),
    mapping: mappingOf(servers, fresh()),
    filtering: filteringOf(servers, fresh),
    hairpin: hairpinOf(world, servers, fresh()),
  };
}

export function observedLifetime({ world, client, servers }: ReturnType<typeof behind>, declared: number): boolean[] {
  return [declared - 1, declared].map((ms) => livesFor(ms, world, servers, client.socket()));
}

/** A host that punches: pings what it is told and whoever pings it, a few times each, and answers every ping. */
class Puncher {
  readonly #world: World;
  readonly #socket: UdpSocket;
  readonly #targets: Map<string, Readonly<Address>> = new Map();
  /** An answer has come from exactly the address that was pinged. */
  connected = false;

  constructor(world: World, socket: UdpSocket) {
    this.#world = world;
    this.#socket = socket;
    socket.onMessage = (data, from) => this.#hear(String.fromCharCode(...data), from);
  }

  ping(target: Readonly<Address>): void {
    const name = formatAddress(target);
    if (this.#targets.has(name) || this.#targets.size >= 8) return;
    this.#targets.set(name, target);
    for (let n = 0; n < 4; n++) {
      this.#world.at(after(this.#world.now, n * 50), () => say(this.#socket, `ping ${name}`, target));
    }
  }

  #hear(text: string, from: Readonly<Address>): void {
    const [kind, pinged] = text.split(" ");
    if (kind === "pong") this.connected ||= pinged === formatAddress(from);
    else {
      say(this.#socket, `pong ${pinged}`, from);
      this.ping(from);
    }
  }
}

function punch(world: World, servers: Servers, one: UdpSocket, other: UdpSocket): boolean {
  const [oneOutside, otherOutside] = [one, other].map((socket) => parse(servers.ask(socket)));
  const [a, b] = [new Puncher(world, one), new Puncher(world, other)];
  a.ping(otherOutside as Address);
  b.ping(oneOutside as Address);
  world.settle(5_000);
  assert.equal(a.connected, b.connected, "a path that works, works for both");
  return a.connected;
}

/** Whether two hosts behind a NAT each find a path. */
export function observedPunch(seed: number, a: NatBehavior, b: NatBehavior): boolean {
  const world = new World({ seed });
  const internet = world.link("internet");
  const servers = new Servers(world, internet);
  const sockets = [a, b].map((nat, n) => {
    const home = world.link(`home ${n}`);
    world
      .gateway(`nat ${n}`, { nat })
      .outside(internet, `203.0.113.${n + 1}`)
      .inside(home, "192.168.1.1/24");
    return world.host(`host ${n}`).attach(home, "192.168.1.2").socket();
  });
  return punch(world, servers, sockets[0] as UdpSocket, sockets[1] as UdpSocket);
}

/** Whether two hosts behind one NAT find a path. */
export function observedHairpinPunch(seed: number, nat: NatBehavior): boolean {
  const lab = behind(seed, nat);
  const other = lab.world.host("other").attach(lab.links[0] as Link, "192.168.1.3");
  return punch(lab.world, lab.servers, lab.client.socket(), other.socket());
}
