/**
 * What the picture of a result shows, before anything has a place: rows from one site down to the other with the internet
 * between them, and the runs of packets from row to row.
 *
 *    hosts of the first site / its gateways / the internet's hosts / gateways of the second site / its hosts
 */
import { nats } from "../nats.ts";
import type { Result } from "../scenario.ts";
import type { Plan, PlannedGateway, PlannedHost } from "../topology.ts";
import { type Conversation, conversationsOf, type Path, type PathStop, type Purpose, pathsOf } from "./path.ts";
import { portOf } from "./routes.ts";

export interface HostRow {
  readonly kind: "hosts";
  /** Undefined: the internet. */
  readonly site: string | undefined;
  readonly hosts: readonly PlannedHost[];
}

export interface GatewayRow {
  readonly kind: "gateway";
  readonly gateway: PlannedGateway;
  readonly insideIsAbove: boolean;
}

export type Row = HostRow | GatewayRow;

/** `on`: to the next stop. `partly`: some of them ended there. */
export type Fate = "on" | "arrives" | "partly" | "dropped" | "vanished";

/** Packets from one row to another, or, between neighbours, within one. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly fromNode: string;
  readonly toNode: string;
  readonly packets: number;
  readonly source: readonly string[];
  readonly destination: readonly string[];
  readonly fate: Fate;
}

/** One conversation's place between the hosts that it is drawn to. */
export interface Thread {
  readonly purpose: Purpose;
  readonly protocol: "udp" | "tcp";
  /** The hosts it hangs between; a packet that turns in a gateway hangs on one host at each of two threads. */
  readonly ends: readonly string[];
  readonly runs: readonly Run[];
}

export interface Scene {
  readonly rows: readonly Row[];
  readonly internet: number;
  readonly threads: readonly Thread[];
  /** Conversations of hosts that have no place in the picture. */
  readonly elsewhere: number;
}

export function sceneOf(result: Pick<Result, "plan" | "passages">): Scene {
  const rows = rowsOf(result.plan);
  const places = new Map(rows.flatMap((row, i) => nodesOf(row).map((node) => [node, i] as const)));
  const threads = conversationsOf(pathsOf(result)).map((one) => threadsOf(one, places));
  return {
    rows,
    internet: rows.findIndex((row) => row.kind === "hosts" && row.site === undefined),
    threads: threads.flat(),
    elsewhere: threads.filter((some) => some.length === 0).length,
  };
}

/** The first two sites: a third has no place in the picture. */
function rowsOf({ hosts, gateways }: Plan): Row[] {
  const [first, second] = [...new Set(hosts.flatMap(({ site }) => site ?? []))];
  const side = (site: string | undefined, insideIsAbove: boolean): Row[] => {
    if (site === undefined) return [];
    const own = gateways.filter((gateway) => gateway.site === site);
    return [
      { kind: "hosts", site, hosts: hosts.filter((host) => host.site === site) },
      ...own.map((gateway): Row => ({ kind: "gateway", gateway, insideIsAbove })),
    ];
  };
  const outside: Row = { kind: "hosts", site: undefined, hosts: hosts.filter(({ site }) => site === undefined) };
  return [...side(first, true), outside, ...side(second, false).reverse()];
}

function nodesOf(row: Row): string[] {
  return row.kind === "hosts" ? row.hosts.map(({ name }) => name) : [row.gateway.name];
}

/** Empty when the picture has no place for it. */
function threadsOf({ purpose, protocol, there, back }: Conversation, places: ReadonlyMap<string, number>): Thread[] {
  const runs = [...runsOf(there, places), ...(back === undefined ? [] : runsOf(back, places))];
  const ends = [...new Set([there.from, there.to])].filter((node) => places.has(node));
  const thread = { purpose, protocol, ends, runs };
  if (!places.has(there.from) || runs.length === 0) return [];
  const isWithinRow = ends.length === 2 && places.get(ends[0] as string) === places.get(ends[1] as string);
  if (!isWithinRow || runs.every(({ from, to }) => from === to)) return [thread];
  // It turns: away from a host in its own thread, toward the other in the other's.
  return ends.map((end) => ({
    ...thread,
    ends: [end],
    runs: runs.filter((run) => belongsTo(run, end, there, places)),
  }));
}

function belongsTo({ from, to, fromNode, toNode }: Run, end: string, there: Path, places: ReadonlyMap<string, number>) {
  const home = places.get(end) as number;
  if (fromNode === end || toNode === end) return true;
  // Between gateways only the direction tells, and which of the two began.
  return Math.abs(to - home) > Math.abs(from - home) === (there.from === end);
}

function runsOf({ stops, to: goal }: Path, places: ReadonlyMap<string, number>): Run[] {
  return stops.flatMap((stop, i) => {
    const next = stops[i + 1];
    const from = places.get(stop.node);
    if (from === undefined || stop.left === 0) return [];
    const toNode = next?.node ?? ahead(stops, i, goal, places);
    const to = places.get(toNode) ?? from;
    if (next !== undefined && !places.has(next.node)) return [];
    const run = { from, to, fromNode: stop.node, toNode, packets: stop.left };
    return [{ ...run, source: stop.sources, destination: stop.destinations, fate: fateOf(stop, next, goal) }];
  });
}

function fateOf(stop: PathStop, next: PathStop | undefined, goal: string): Fate {
  if (next === undefined) return "vanished";
  if (next.dropped > 0 && next.left === 0) return "dropped";
  if (next.dropped > 0 || stop.vanished > 0) return "partly";
  return next.node === goal ? "arrives" : "on";
}

/** Where packets were headed that nobody got: the next row on the way to the goal. */
function ahead(stops: readonly PathStop[], index: number, goal: string, places: ReadonlyMap<string, number>): string {
  const here = places.get((stops[index] as PathStop).node) as number;
  const target = places.get(goal);
  const nodeIn = (row: number): string | undefined => [...places].find(([, one]) => one === row)?.[0];
  const step = target === undefined || target === here ? 1 : Math.sign(target - here);
  return nodeIn(here + step) ?? nodeIn(here - step) ?? goal;
}

const longestFact = 52;

/** What is written in a gateway, line by line. */
export function describeGateway({ declaration }: PlannedGateway): string[] {
  const { nat, firewall, udpTimeout, rewritesPayload } = declaration;
  const more = [
    firewall === undefined ? [] : `firewall: ${firewall}`,
    udpTimeout === undefined ? [] : `forgets idle UDP after ${udpTimeout} s`,
    rewritesPayload === true ? "rewrites addresses in packets" : [],
  ].flat();
  const beside = more.join(" · ");
  return [nats[nat].title, ...(beside.length <= longestFact ? [beside] : more)].filter((fact) => fact !== "");
}

/** `:4000`, or how many there are. */
export function describePorts(endpoints: readonly string[]): string {
  const ports = new Set(endpoints.map(portOf));
  return ports.size === 1 ? `:${[...ports][0]}` : `${ports.size} ports`;
}

/** The addresses of IPv4, or whatever there is. */
export function shownAddresses({ addresses }: PlannedHost): readonly string[] {
  const old = addresses.filter((address) => !address.includes(":"));
  return old.length > 0 ? old : addresses;
}
