/**
 * The grid: two agents in every combination of NATs, and what becomes of a call between them within five seconds. What
 * must become of it is the oracle's to say. `npm run grid` runs it with as many seeds as wanted.
 */
import { type Address, parseIp } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { type Dependence, type NatBehavior, natBehavior, type PortAssignment } from "../../../src/natlab/behavior.ts";
import type { Firewall } from "../../../src/natlab/firewall/firewall.ts";
import { InsideToOutside } from "../../../src/natlab/firewall/inside-to-outside.ts";
import type { Link, LinkConditions } from "../../../src/natlab/link.ts";
import { canMeet } from "../../../src/natlab/meeting.ts";
import { canHairpin } from "../../../src/natlab/oracle.ts";
import { World } from "../../../src/natlab/world.ts";
import { Call, type CallOptions } from "./call.ts";
import { Endpoint, type EndpointOptions } from "./endpoint.ts";
import { STUN_PORT, TurnService } from "./servers.ts";

export type PathClass = "direct" | "relayed" | "none";

export interface Cell {
  readonly name: string;
  readonly family: "apart" | "one LAN" | "hairpin" | "in a row" | "IPv6";
  /** NATs from the host outward. */
  readonly a: readonly NatBehavior[];
  readonly b: readonly NatBehavior[];
  /** A NAT that both are behind, with the NATs above inside. */
  readonly shared?: NatBehavior;
  readonly isOneLan?: boolean;
  /** Which of the two have IPv6, behind a firewall that lets in answers alone. */
  readonly ipv6: "none" | "one" | "both";
  readonly expected: PathClass;
}

const dependences: readonly Dependence[] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];
const short: Readonly<Record<Dependence, string>> = {
  "endpoint-independent": "EI",
  "address-dependent": "AD",
  "address-and-port-dependent": "APD",
};

export const classes: readonly NatBehavior[] = dependences.flatMap((mapping) =>
  dependences.map((filtering) => natBehavior({ mapping, filtering, ports: { kind: "random" }, hairpin: "none" })),
);
const open = classes[0] as NatBehavior;

function nameOf(nats: readonly NatBehavior[]): string {
  return nats.map(({ mapping, filtering }) => `${short[mapping]}/${short[filtering]}`).join(" in ");
}

function expect(a: readonly NatBehavior[], b: readonly NatBehavior[]): PathClass {
  return canMeet(a, b) ? "direct" : "relayed";
}

function apart(): Cell[] {
  return classes.flatMap((a) =>
    classes.map((b): Cell => {
      const name = `${nameOf([a])} and ${nameOf([b])}`;
      return { name, family: "apart", a: [a], b: [b], ipv6: "none", expected: expect([a], [b]) };
    }),
  );
}

function inARow(): Cell[] {
  return classes.flatMap((inner) =>
    classes.flatMap((outer) =>
      classes.map((b): Cell => {
        const a = [inner, outer];
        return {
          name: `${nameOf(a)} and ${nameOf([b])}`,
          family: "in a row",
          a,
          b: [b],
          ipv6: "none",
          expected: expect(a, [b]),
        };
      }),
    ),
  );
}

const hairpins: readonly NatBehavior["hairpin"][] = ["none", "internal", "external"];

function behindOne(): Cell[] {
  return classes.flatMap((nat) =>
    hairpins.flatMap((hairpin): Cell[] => {
      const shared = { ...nat, hairpin };
      const name = `${nameOf([nat])}, hairpin ${hairpin}`;
      const common = { a: [open], b: [open], shared, ipv6: "none" } as const;
      return [
        { ...common, name, family: "hairpin", expected: canHairpin(shared) ? "direct" : "relayed" },
        // On one LAN no NAT is in the way.
        { ...common, a: [], b: [], name, family: "one LAN", isOneLan: true, expected: "direct" },
      ];
    }),
  );
}

function withIpv6(): Cell[] {
  return apart().flatMap((cell) =>
    (["one", "both"] as const).map((ipv6): Cell => {
      // Two firewalls that admit answers are opened by sending from both sides, as two EI/APD NATs are.
      const expected = ipv6 === "both" ? "direct" : cell.expected;
      return { ...cell, name: `${cell.name}, IPv6 of ${ipv6}`, family: "IPv6", ipv6, expected };
    }),
  );
}

export function cells(): Cell[] {
  return [...apart(), ...behindOne(), ...inARow(), ...withIpv6()];
}

export interface Outcome {
  readonly found: PathClass;
  /** Milliseconds from when both have both descriptions; undefined: never. Of both sides the later. */
  readonly usable: number | undefined;
  readonly nominated: number | undefined;
  /** Datagrams of the application that the relay carried. */
  readonly relayedMedia: number;
  /** The first path that could be used was a direct one. */
  readonly usableDirectly: boolean;
}

export interface RunOptions extends CallOptions {
  readonly seed?: number;
  readonly config?: EndpointOptions;
  /** What the second side has instead. */
  readonly bobs?: EndpointOptions;
  readonly ports?: PortAssignment;
  readonly loss?: number;
  /** Milliseconds on every way over the Internet. */
  readonly delay?: number;
  /** What else happens to packets there. */
  readonly conditions?: Partial<LinkConditions>;
  /** Milliseconds from the beginning to when the outcome is looked at. */
  readonly within?: number;
  /** On every NAT. */
  readonly firewall?: Firewall;
}

export function ip(text: string, port = 0): Address {
  return parseIp(text, port) as Address;
}

interface Net extends RunOptions {
  readonly world: World;
  readonly internet: Link;
}

/** A gateway for each NAT, from the outermost inward; returns the innermost link. */
function behind(
  { world, ports, firewall = onlyIpv6() }: Net,
  nats: readonly NatBehavior[],
  outside: Link,
  address: string,
  side: number,
): Link {
  let [link, own] = [outside, address];
  for (const [n, nat] of [...nats].reverse().entries()) {
    const isInnermost = n === nats.length - 1;
    const inside = world.link(`inside ${side}.${n}`);
    const behavior = ports === undefined ? nat : { ...nat, ports };
    const box = world.gateway(`nat ${side}.${n}`, { nat: behavior, firewall });
    box.outside(link, own);
    const six = isInnermost ? [`2a0${side + 1}::1/64`] : [];
    box.inside(inside, isInnermost ? `192.168.${side}.1/24` : `100.${64 + side}.${n}.1/24`, ...six);
    [link, own] = [inside, `100.${64 + side}.${n}.2`];
  }
  return link;
}

/** What home routers do with IPv6: answers come in, and nothing else. */
function onlyIpv6(): Firewall {
  const firewall = new InsideToOutside({ lifetime: 60_000 });
  return {
    judge: (packet, direction, now) => (packet.source.family === 4 ? "pass" : firewall.judge(packet, direction, now)),
  };
}

/** Both are behind `shared`, each with NATs of its own inside, or on one LAN. */
function together(net: Net, cell: Cell): [Link, Link] {
  const { world, internet, ports } = net;
  const behavior = ports === undefined ? cell.shared : cell.shared && { ...cell.shared, ports };
  const inside = world.link("provider");
  world
    .gateway("shared", behavior && { nat: behavior })
    .outside(internet, "5.1.0.9")
    .inside(inside, "100.100.0.1/24");
  if (cell.isOneLan) return [inside, inside];
  return [behind(net, cell.a, inside, "100.100.0.11", 0), behind(net, cell.b, inside, "100.100.0.12", 1)];
}

/** Every way over the Internet takes `delay`. */
export function build(cell: Cell, options: RunOptions = {}) {
  const { seed = 1, config = {}, bobs = {}, loss = 0, delay = 25, conditions = {} } = options;
  const world = new World({ seed });
  const internet = world.link("internet", { ...conditions, delay, loss });
  const net: Net = { ...options, world, internet };
  const dual = cell.ipv6 !== "none";
  const [turn] = [3, 4].map((n) => {
    return new TurnService(
      world,
      world.host(`server ${n}`).attach(internet, `9.9.9.${n}`, ...(dual ? [`2a09::${n}`] : [])),
    );
  });
  const links =
    cell.shared === undefined
      ? [behind(net, cell.a, internet, "5.1.0.1", 0), behind(net, cell.b, internet, "5.1.0.2", 1)]
      : together(net, cell);
  const servers = [ip("9.9.9.3", STUN_PORT), ip("9.9.9.4", STUN_PORT)];
  const six = dual ? [ip("2a09::3", STUN_PORT)] : [];
  const endpoints = links.map((link, side) => {
    const own = cell.isOneLan ? `100.100.0.${21 + side}` : `192.168.${side}.2`;
    const hasSix = cell.ipv6 === "both" || (cell.ipv6 === "one" && side === 0);
    const host = world.host(`host ${side}`).attach(link, own, ...(hasSix ? [`2a0${side + 1}::2`] : []));
    const role = side === 0 ? "controlling" : "controlled";
    return new Endpoint(`${side === 0 ? "a" : "b"}`, world, host, {
      role,
      stunServers: [...servers, ...six],
      turn: [servers[0] as Address],
      ...config,
      ...(side === 1 && bobs),
    });
  });
  return { world, internet, turn: turn as TurnService, a: endpoints[0] as Endpoint, b: endpoints[1] as Endpoint };
}

export function run(cell: Cell, options: RunOptions = {}): Outcome {
  const { world, turn, a, b } = build(cell, options);
  const call = new Call(a, b, options).start().talk();
  while (call.began === undefined && world.now < 10_000) world.advance(1);
  const began = call.began ?? world.now;
  world.advance(options.within ?? 5_000);
  const [found, usable, nominated] = [foundBy(a, b), since(began, a, b, "usable"), since(began, a, b, "selected")];
  const usableDirectly = [a, b].every((one) => one.all("usable")[0]?.path.kind === "direct");
  a.close();
  b.close();
  return { found, usable, nominated, relayedMedia: turn.mediaPackets, usableDirectly };
}

/** What the application hears at the end, both ways. */
function foundBy(...both: readonly Endpoint[]): PathClass {
  const kinds = both.map((one): PathClass => {
    const isHeard = one.received.some(({ at }) => at > one.world.now - 200);
    return isHeard && one.agent.state === "connected" ? (one.path()?.kind ?? "none") : "none";
  });
  return kinds[0] === kinds[1] ? (kinds[0] as PathClass) : "none";
}

function since(began: Instant, a: Endpoint, b: Endpoint, type: "usable" | "selected"): number | undefined {
  const times = [a, b].map((one) => one.all(type)[0]?.at);
  return times.includes(undefined) ? undefined : Math.max(0, ...times.map((at) => (at as number) - began));
}
