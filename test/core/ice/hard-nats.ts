/** Two agents behind NATs that ordinary checks do not get through, and a count of what they do about it, packet by packet. */
import assert from "node:assert/strict";
import { formatAddress, formatIp } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { type NatBehavior, natBehavior, type PortAssignment } from "../../../src/natlab/behavior.ts";
import type { Sighting } from "../../../src/natlab/sightings.ts";
import { Call, type CallOptions } from "./call.ts";
import type { Endpoint, EndpointOptions } from "./endpoint.ts";
import { build, type Cell } from "./grid.ts";

export function symmetric(ports: PortAssignment = { kind: "random" }, more: Partial<NatBehavior> = {}): NatBehavior {
  const apart = "address-and-port-dependent";
  return natBehavior({ mapping: apart, filtering: apart, ports, parity: false, hairpin: "none", ...more });
}

export function portRestricted(): NatBehavior {
  return natBehavior({ filtering: "address-and-port-dependent", parity: false, hairpin: "none" });
}

export interface HardOptions extends CallOptions {
  readonly a?: NatBehavior;
  readonly b?: NatBehavior;
  readonly seed?: number;
  readonly config?: EndpointOptions;
  /** What B has instead. */
  readonly bobs?: EndpointOptions;
  /** The application says nothing. */
  readonly isSilent?: boolean;
}

const NAT_OF = ["5.1.0.1", "5.1.0.2"] as const;

/** The first datagram of one side's from a socket to an address at the other's NAT. */
export interface SeenProbe {
  readonly at: Instant;
  readonly from: string;
  readonly to: string;
}

export class HardCall {
  readonly a: Endpoint;
  readonly b: Endpoint;
  readonly call: Call;
  readonly net: ReturnType<typeof build>;
  /** Of each side, from the socket and to the addresses that were told. */
  readonly checks: readonly [SeenProbe[], SeenProbe[]] = [[], []];
  /** Of each side all others that answer nothing. */
  readonly probes: readonly [SeenProbe[], SeenProbe[]] = [[], []];
  readonly #known: readonly [Set<string>, Set<string>] = [new Set(), new Set()];

  constructor({
    a = symmetric(),
    b = portRestricted(),
    seed = 1,
    config = {},
    bobs = {},
    isSilent = false,
    ...how
  }: HardOptions) {
    const cell: Cell = { name: "hard", family: "apart", a: [a], b: [b], ipv6: "none", expected: "relayed" };
    this.net = build(cell, { seed, config: { hardNats: true, ...config }, bobs });
    this.a = this.net.a;
    this.b = this.net.b;
    this.call = new Call(this.a, this.b, how).start();
    if (!isSilent) this.call.talk();
    this.net.world.watch((sighting) => this.#see(sighting));
  }

  get now(): Instant {
    return this.net.world.now;
  }

  run(ms: number): this {
    this.net.world.advance(ms);
    return this;
  }

  /** Until both use a direct path; milliseconds since both had both descriptions, or undefined: not within `ms`. */
  untilDirect(ms = 20_000): number | undefined {
    for (let passed = 0; passed < ms && !this.isDirect; passed += 10) this.run(10);
    return this.isDirect ? this.now - (this.call.began as Instant) : undefined;
  }

  get isDirect(): boolean {
    return [this.a, this.b].every((one) => one.agent.state === "connected" && one.path()?.kind === "direct");
  }

  /** Sockets beside those that the agents gathered from. */
  extraSockets(side: 0 | 1): number {
    return new Set(this.probes[side].map(({ from }) => from).filter((from) => !this.#bases[side]?.includes(from))).size;
  }

  get #bases(): readonly (readonly string[])[] {
    const hosts = (one: Endpoint) => one.candidates.filter(({ type }) => type === "host");
    return [this.a, this.b].map((one) => hosts(one).map(({ address }) => formatAddress(address)));
  }

  #see({ kind, place, packet, at }: Sighting): void {
    const me = ["inside 0.0", "inside 1.0"].indexOf(place) as 0 | 1 | -1;
    if (kind !== "carried" || me < 0) return;
    const [from, to] = [formatAddress(packet.source), formatAddress(packet.destination)];
    const known = this.#known[me as 0 | 1];
    // What answers the peer is no probe, even from a port that nobody has told of.
    if (formatIp(packet.source) === NAT_OF[1 - me]) known.add(`${to} ${from}`);
    if (formatIp(packet.destination) !== NAT_OF[1 - me] || known.has(`${from} ${to}`)) return;
    known.add(`${from} ${to}`);
    const told = (me === 0 ? this.b : this.a).candidates.some(({ address }) => formatAddress(address) === to);
    const isOrdinary = told && this.#bases[me]?.includes(from);
    (isOrdinary ? this.checks : this.probes)[me as 0 | 1].push({ at, from, to });
  }

  close(): void {
    this.a.close();
    this.b.close();
  }
}

/** The most of them in any second. */
export function densest(probes: readonly SeenProbe[]): number {
  let [most, first] = [0, 0];
  for (const [i, { at }] of probes.entries()) {
    while ((probes[first] as SeenProbe).at <= at - 1_000) first++;
    most = Math.max(most, i - first + 1);
  }
  return most;
}

export interface Tried {
  /** Milliseconds until each that became direct was; the least first. */
  readonly direct: readonly number[];
  /** Of both sides together, the least first. */
  readonly probes: readonly number[];
}

/** Symmetric and port-restricted, so many seeds; the limits have to hold in all of them. */
export function trySeeds(count: number): Tried {
  const [direct, probes]: [number[], number[]] = [[], []];
  for (let seed = 1; seed <= count; seed++) {
    const call = new HardCall({ seed, isSilent: true });
    const took = call.untilDirect();
    if (took !== undefined) direct.push(took);
    const both = call.probes[0].length + call.probes[1].length;
    probes.push(both);
    assert.ok(both <= 1_280, `seed ${seed}: ${both} probes`);
    assert.ok(call.extraSockets(0) <= 256 && call.extraSockets(1) === 0, `seed ${seed}`);
    for (const side of call.probes) assert.ok(densest(side) <= 100, `seed ${seed}: ${densest(side)} in a second`);
    call.close();
  }
  const sorted = (values: number[]): number[] => values.sort((a, b) => a - b);
  return { direct: sorted(direct), probes: sorted(probes) };
}
