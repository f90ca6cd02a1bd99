/**
 * What must be observed of NATs, reasoned from what RFC 4787 lets one declare of them. The oracle imports neither the NAT
 * nor any code that traverses one, and keeps no state of packets: each answer is an argument about who has sent to whom.
 * So the simulator, a discovery client and an ICE agent can be wrong without it.
 *
 * "Endpoint-independent" and so on are shortened to EI, AD and APD in the reasons.
 */
import type { Dependence, NatBehavior } from "./behavior.ts";

/** RFC 3489's names, from mapping and filtering. */
export type ClassicName = "full cone" | "restricted cone" | "port restricted cone" | "symmetric";

export interface Discovery {
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  readonly classic: ClassicName;
  /** What four new mappings of four inside ports of one parity show: their own ports, a step, or neither. */
  readonly ports: "preserved" | "unpredictable" | number;
  /** Which source a socket sees of what it sends to its own outside address; "none" when nothing comes back. */
  readonly hairpin: NatBehavior["hairpin"];
  /** Milliseconds that a mapping answers after it was made. */
  readonly lifetime: number;
}

const order: readonly Dependence[] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];

function stricter(a: Dependence, b: Dependence): Dependence {
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}

/**
 * A NAT that overloads gives the inside port toward everyone, and then finds the inside host by who sends: from outside
 * that is one mapping, EI, whatever it keeps inside.
 */
export function observedMapping({ mapping, ports }: Pick<NatBehavior, "mapping" | "ports">): Dependence {
  return ports.kind === "overloading" ? "endpoint-independent" : mapping;
}

function classicName(mapping: Dependence, filtering: Dependence): ClassicName {
  // RFC 3489 §5: the three cones differ by filtering alone, and all map independently of the endpoint.
  if (mapping !== "endpoint-independent") return "symmetric";
  if (filtering === "endpoint-independent") return "full cone";
  return filtering === "address-dependent" ? "restricted cone" : "port restricted cone";
}

function observedPorts({ ports, parity }: NatBehavior): Discovery["ports"] {
  if (ports.kind === "preservation" || ports.kind === "overloading") return "preserved";
  if (ports.kind === "random") return "unpredictable";
  // Of an odd step every second port has the wrong parity.
  return parity && ports.step % 2 === 1 ? 2 * ports.step : ports.step;
}

/**
 * A socket that sends to its own outside address X:x. With EI mapping it sends from X:x itself, and so admits X:x. Else
 * it sends from another port, and X:x, which only the server was sent to from, admits it only with EI filtering.
 */
function observedHairpin(behavior: NatBehavior): Discovery["hairpin"] {
  const open = observedMapping(behavior) === "endpoint-independent" || behavior.filtering === "endpoint-independent";
  return open ? behavior.hairpin : "none";
}

/** What RFC 5780's procedures must report from a host behind a NAT that nobody else uses. */
export function discovery(behavior: NatBehavior): Discovery {
  const mapping = observedMapping(behavior);
  return {
    mapping,
    filtering: behavior.filtering,
    classic: classicName(mapping, behavior.filtering),
    ports: observedPorts(behavior),
    hairpin: observedHairpin(behavior),
    lifetime: behavior.lifetime,
  };
}

/**
 * What two NATs in a row look like. A mapping of either that tells remote endpoints apart gives the other, or the world,
 * another endpoint; a packet must pass both filters; the first to forget decides. Hairpinning is the outer one's.
 */
export function inSeries(
  inner: NatBehavior,
  outer: NatBehavior,
): Pick<Discovery, "mapping" | "filtering" | "classic" | "lifetime"> {
  const mapping = stricter(observedMapping(inner), observedMapping(outer));
  const filtering = stricter(inner.filtering, outer.filtering);
  return {
    mapping,
    filtering,
    classic: classicName(mapping, filtering),
    lifetime: Math.min(inner.lifetime, outer.lifetime),
  };
}

type Side = Pick<NatBehavior, "mapping" | "filtering" | "ports">;

/**
 * Whether two hosts find a pair of addresses that carries packets both ways, when each knows the outside address that a
 * third party saw of the other (A', B'), both send, and both also answer the source of whatever arrives. With the
 * internal source of a hairpin the receiver answers inside, so one packet that arrives is enough: see below.
 */
export function canPunch(a: Side, b: Side): boolean {
  const [aIndependent, bIndependent] = [a, b].map(
    (side) => observedMapping(side as NatBehavior) === "endpoint-independent",
  );
  // Both send from the address that the other knows, and so admit each other.
  if (aIndependent && bIndependent) return true;
  if (aIndependent) return meetsDependent(a);
  if (bIndependent) return meetsDependent(b);
  // Of two that send from addresses nobody knows, only EI filtering hears the first packet. Its answer comes from
  // another port of the address that was sent to, which APD filtering refuses. Then each answers the other's newest
  // address; if both map APD, each answer comes from a newer one again, and no two addresses ever meet.
  const hears = (one: Side, other: Side): boolean =>
    one.filtering === "endpoint-independent" && other.filtering !== "address-and-port-dependent";
  const settles = a.mapping === "address-dependent" || b.mapping === "address-dependent";
  return settles && (hears(a, b) || hears(b, a));
}

/**
 * The other side sends from another port than the one known. It was sent to, so AD filtering hears it, and the answer
 * goes to the right port. APD filtering never does; and when the other hears, its answers come from the wrong port.
 */
function meetsDependent(independent: Side): boolean {
  return independent.filtering !== "address-and-port-dependent";
}

/** The same for two hosts behind one NAT that know only each other's outside addresses. */
export function canHairpin(behavior: NatBehavior): boolean {
  if (behavior.hairpin === "none") return false;
  if (behavior.hairpin === "external") return canPunch(behavior, behavior);
  // The receiver sees the inside source and answers it directly: any packet that arrives is enough. With EI mapping the
  // second sender's does, else only EI filtering lets one in.
  return observedMapping(behavior) === "endpoint-independent" || behavior.filtering === "endpoint-independent";
}

/** A packet over one mapping, between its inside host and one of two remote hosts. */
export interface Use {
  /** Milliseconds; uses are in order. */
  readonly at: number;
  readonly direction: "outbound" | "inbound";
  readonly remote: "first" | "second";
}

/**
 * Whether a packet from `remote` comes in at `at`, after these uses of one outside address. Mapping is EI and ports are
 * preserved, so that a new mapping has the old one's address.
 */
export function admits(behavior: NatBehavior, uses: readonly Use[], remote: Use["remote"], at: number): boolean {
  let past: readonly Use[] = [];
  for (const use of uses) {
    const counts = use.direction === "outbound" || isOpen(behavior, past, use.remote, use.at);
    if (counts) past = [...(aliveAt(behavior, past, use.at) ? past : []), use];
  }
  return isOpen(behavior, past, remote, at);
}

/** Whether the mapping that `past` made, the first of them, still lives. */
function aliveAt(behavior: NatBehavior, past: readonly Use[], at: number): boolean {
  const refreshed = past.findLast((use, n) => n === 0 || refreshes(behavior, use));
  return refreshed !== undefined && at < refreshed.at + behavior.lifetime;
}

function refreshes({ refreshedBy }: NatBehavior, { direction }: Use): boolean {
  return refreshedBy === "both" || refreshedBy === direction;
}

function isOpen(behavior: NatBehavior, past: readonly Use[], remote: Use["remote"], at: number): boolean {
  if (!aliveAt(behavior, past, at)) return false;
  const own = past.filter((use) => behavior.filtering === "endpoint-independent" || use.remote === remote);
  if (behavior.refreshScope === "mapping") return own.length > 0;
  return sessionOpen(behavior, own, at);
}

/** A session of its own is opened by what is sent while it is closed, and lives on by what refreshes. */
function sessionOpen(behavior: NatBehavior, own: readonly Use[], at: number): boolean {
  let until = Number.NEGATIVE_INFINITY;
  for (const use of own) {
    if (refreshes(behavior, use) || (use.direction === "outbound" && use.at >= until))
      until = use.at + behavior.lifetime;
  }
  return at < until;
}
