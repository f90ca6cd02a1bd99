/**
 * The path that packets took: flows of one purpose between the same two, put together, with what arrived at and left
 * every stop, and where packets ended.
 */
import type { Result } from "../scenario.ts";
import { serverAddresses } from "../topology.ts";
import { ipOf, portOf } from "./routes.ts";
import { type Stop, type Trace, traceAll } from "./traces.ts";

export const purposes = {
  call: "the call",
  control: "STUN and TURN, with what is relayed in it",
  probe: "probes of what the NAT does",
  signaling: "SIP",
  uninvited: "packets that nobody asked for",
} as const;
export type Purpose = keyof typeof purposes;

export interface PathStop {
  readonly node: string;
  readonly arrived: number;
  readonly left: number;
  /** Packets that ended here: of those that arrived and should have gone on, or, with `left`, after leaving. */
  readonly dropped: number;
  readonly vanished: number;
  /** The ports that the flows come from and go to as they leave. */
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
}

/** One direction. */
export interface Path {
  readonly purpose: Purpose;
  readonly protocol: "udp" | "tcp";
  readonly from: string;
  readonly to: string;
  readonly stops: readonly PathStop[];
  readonly flows: number;
  readonly sent: number;
  /** Packets that arrived at whom they were for. */
  readonly received: number;
}

/** What two say to each other for one purpose; `back` is undefined when nothing was said in return. */
export interface Conversation {
  readonly purpose: Purpose;
  readonly protocol: "udp" | "tcp";
  readonly there: Path;
  readonly back: Path | undefined;
}

/** The host of a topology that has no part in what the others do. */
const stranger = "stranger";

/** Ports as IANA has them, and the proxies' customary one. */
const ports = { server: [3478, 5349, 443, 80, 3128], second: 3479, sip: [5060, 5061], mapping: [1900, 5350, 5351] };

export function pathsOf({ plan, passages }: Pick<Result, "plan" | "passages">): Path[] {
  const gateways = new Map(plan.gateways.map((gateway) => [gateway.name, gateway.outside]));
  const traces = traceAll(plan, passages);
  // Whoever finds out what a NAT does asks all four of the server's places; else its second address is as good as its first.
  const isDiscovery = traces.some((trace) => endsOf(trace).some((end) => portOf(end) === ports.second));
  const groups = Map.groupBy(traces, (trace) =>
    [purposeOf(trace, gateways.has(trace.to), isDiscovery), trace.protocol, trace.from, trace.to].join("\n"),
  );
  // What comes to a gateway's outside address, and is for nobody behind it, is for nobody at all.
  const isAtGoal = ({ to, stops }: Trace): boolean => {
    const { node, destination } = stops.at(-1) as Stop;
    return node === to && stops.length > 1 && ipOf(destination) !== gateways.get(node);
  };
  return [...groups].flatMap(([key, traces]) =>
    sameRoutes(traces).map((some) => merge(key.split("\n")[0] as Purpose, some, isAtGoal)),
  );
}

/** As the sender and as the receiver saw it. */
function endsOf({ stops }: Trace): string[] {
  return [stops[0] as Stop, stops.at(-1) as Stop].flatMap(({ source, destination }) => [source, destination]);
}

function purposeOf(trace: Trace, isForGateway: boolean, isDiscovery: boolean): Purpose {
  const { from, to } = trace;
  if (from === stranger || to === stranger) return "uninvited";
  if (isForGateway || from === to) return "probe";
  const ends = endsOf(trace);
  const numbers = ends.map(portOf);
  if (numbers.some((port) => ports.sip.includes(port))) return "signaling";
  if (numbers.some((port) => port === ports.second || ports.mapping.includes(port))) return "probe";
  if (numbers.some((port) => ports.server.includes(port))) {
    return isDiscovery && ends.some((end) => ipOf(end) === serverAddresses[1]) ? "probe" : "control";
  }
  return "call";
}

/** Flows that took the same way, some farther than others. */
function sameRoutes(traces: readonly Trace[]): Trace[][] {
  const found: { route: string; traces: Trace[] }[] = [];
  const routes = traces.map((trace) => {
    const nodes = trace.stops.map(({ node }) => node);
    return { trace, route: `${[...nodes, ...(trace.isAstray ? ["nowhere"] : [])].join("\n")}\n` };
  });
  for (const { trace, route } of routes.sort((one, other) => other.route.length - one.route.length)) {
    const longer = found.find((one) => one.route.startsWith(route));
    if (longer === undefined) found.push({ route, traces: [trace] });
    else longer.traces.push(trace);
  }
  return found.map((one) => one.traces);
}

function merge(purpose: Purpose, traces: readonly Trace[], isAtGoal: (trace: Trace) => boolean): Path {
  const { protocol, from, to, stops } = traces[0] as Trace;
  const isComplete = isAtGoal(traces[0] as Trace);
  const merged = stops.map(({ node }, i) => mergeStop(node, i, traces, isComplete && i === stops.length - 1));
  const last = merged.at(-1) as PathStop;
  return {
    purpose,
    protocol,
    from,
    to,
    stops: merged,
    flows: traces.length,
    sent: (merged[0] as PathStop).left,
    received: isComplete ? last.arrived : 0,
  };
}

function mergeStop(node: string, index: number, traces: readonly Trace[], isGoal: boolean): PathStop {
  const stops = traces.flatMap(({ stops }) => stops[index] ?? []);
  const onward = traces.reduce((total, { stops }) => total + (stops[index + 1]?.arrived ?? 0), 0);
  const [arrived, left] = [total(stops, "arrived"), total(stops, "left")];
  return {
    node,
    arrived,
    left,
    dropped: index === 0 || isGoal ? 0 : arrived - left,
    vanished: left - onward,
    sources: [...new Set(stops.map(({ source }) => source))],
    destinations: [...new Set(stops.map(({ destination }) => destination))],
  };
}

function total(stops: readonly Stop[], what: "arrived" | "left"): number {
  return stops.reduce((sum, stop) => sum + stop[what], 0);
}

const order: readonly Purpose[] = ["call", "uninvited", "signaling", "control", "probe"];

/** The most telling first. */
export function conversationsOf(paths: readonly Path[]): Conversation[] {
  const open = [...paths];
  const found: Conversation[] = [];
  for (let there = open.shift(); there !== undefined; there = open.shift()) {
    const { purpose, protocol } = there;
    const index = open.findIndex((one) => isAnswer(one, there as Path));
    const back = index < 0 ? undefined : open.splice(index, 1)[0];
    found.push({ purpose, protocol, there, back });
  }
  return found.sort(
    (one, other) => order.indexOf(one.purpose) - order.indexOf(other.purpose) || packetsOf(other) - packetsOf(one),
  );
}

function isAnswer(one: Path, to: Path): boolean {
  return one.purpose === to.purpose && one.protocol === to.protocol && one.from === to.to && one.to === to.from;
}

function packetsOf({ there, back }: Conversation): number {
  return there.sent + (back?.sent ?? 0);
}
