/**
 * What RFC 4787, and RFC 5382 for TCP, let one declare of a NAT: plain values, without the code that behaves so. The NAT
 * reads them, and so does the oracle, which knows nothing else.
 */

import { PosternError } from "../core/base/failure.ts";

/** RFC 4787 §4.1 and §5: what a mapping, or a filter, depends on besides the inside endpoint. */
export type Dependence = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";

export type PortAssignment =
  /** The inside port while it is free outside, else the next free one. */
  | { readonly kind: "preservation" }
  /** The inside port always, even when several inside hosts then share it. */
  | { readonly kind: "overloading" }
  /** The last port given plus `step`, from the bottom of the range. */
  | { readonly kind: "sequential"; readonly step: number }
  | { readonly kind: "random" };

/** Mapping, filtering, pooling, ports and hairpin are of UDP and TCP alike; each has mappings of its own. */
export interface NatBehavior {
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  /** `paired`: one inside host, one outside address; `arbitrary`: each mapping takes the next address in turn. */
  readonly pooling: "paired" | "arbitrary";
  readonly ports: PortAssignment;
  /** Even inside ports get even outside ports, and odd ones odd. */
  readonly parity: boolean;
  /** Ports that are given out; `preservation` and `overloading` keep inside ports outside of the range too. */
  readonly portRange: { readonly min: number; readonly max: number };
  /** Milliseconds that an unused mapping of UDP lives. */
  readonly lifetime: number;
  /** Which traffic makes a mapping of UDP live on. */
  readonly refreshedBy: "outbound" | "inbound" | "both";
  /** Whether a refresh is for the whole mapping, or only for the remote endpoint that it was for. */
  readonly refreshScope: "mapping" | "session";
  /** What an inside host sees that is reached from inside by its outside address: nothing, or which source. */
  readonly hairpin: "none" | "internal" | "external";
  /** Rewrites addresses that it finds in datagrams, as application level gateways do. */
  readonly rewritesPayload: boolean;
  readonly fragments: "pass" | "drop";
  /** Mappings at the same time, of UDP and TCP together. */
  readonly maxMappings: number;
  readonly maxMappingsPerHost: number;
  /** Milliseconds that an established TCP connection may be silent, whichever side last spoke. */
  readonly tcpLifetime: number;
  /** Milliseconds that one may be silent while it opens, and since a FIN or RST passed. */
  readonly tcpTransitoryLifetime: number;
  /**
   * What is done about a SYN from outside that is not let in: nothing; a RST at once; or a RST after six seconds, unless
   * a SYN from inside has met it by then.
   */
  readonly unsolicitedSyn: "drop" | "reset" | "reset-later";
  /** What is done about other segments of connections that the NAT does not know, as after a reboot; from both sides. */
  readonly strayTcp: "drop" | "reset";
}

/** A NAT that keeps the requirements and recommendations of RFC 4787 and RFC 5382, as far as they prescribe one behavior. */
const wellBehaved: NatBehavior = {
  // RFC 4787 REQ-1: mapping is endpoint-independent.
  mapping: "endpoint-independent",
  // RFC 4787 REQ-8: address-dependent where more stringent filtering is wanted than none.
  filtering: "address-dependent",
  // RFC 4787 REQ-2: pooling is paired.
  pooling: "paired",
  ports: { kind: "preservation" },
  // RFC 4787 REQ-4: parity is kept.
  parity: true,
  portRange: { min: 1024, max: 65_535 },
  // RFC 4787 REQ-5: no mapping expires in less than two minutes; five are the recommended default.
  lifetime: 300_000,
  // RFC 4787 REQ-6: outbound traffic refreshes.
  refreshedBy: "outbound",
  refreshScope: "mapping",
  // RFC 4787 REQ-9: hairpinning presents the external source.
  hairpin: "external",
  // RFC 4787 REQ-10: application level gateways are off.
  rewritesPayload: false,
  // RFC 4787 REQ-14: fragments are handled.
  fragments: "pass",
  maxMappings: Number.POSITIVE_INFINITY,
  maxMappingsPerHost: Number.POSITIVE_INFINITY,
  // RFC 5382 REQ-5: two hours and four minutes, and four minutes.
  tcpLifetime: 7_440_000,
  tcpTransitoryLifetime: 240_000,
  // RFC 5382 REQ-4: never answered within six seconds; silence is allowed where it is policy.
  unsolicitedSyn: "drop",
  strayTcp: "drop",
};

const dependences: readonly Dependence[] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];

/** The words that may be said where only some may. */
const words: Readonly<Partial<Record<keyof NatBehavior, readonly string[]>>> = {
  mapping: dependences,
  filtering: dependences,
  pooling: ["paired", "arbitrary"],
  refreshedBy: ["outbound", "inbound", "both"],
  refreshScope: ["mapping", "session"],
  hairpin: ["none", "internal", "external"],
  fragments: ["pass", "drop"],
  unsolicitedSyn: ["drop", "reset", "reset-later"],
  strayTcp: ["drop", "reset"],
};
const portKinds: readonly string[] = ["preservation", "overloading", "sequential", "random"];

/**
 * The behavior that RFC 4787 and RFC 5382 ask for, but for what is named. Throws a PosternError, NATLAB_BEHAVIOR, for what
 * no NAT here does.
 */
export function natBehavior(departures: Partial<NatBehavior> = {}): NatBehavior {
  const behavior = { ...wellBehaved, ...departures };
  for (const name of Object.keys(behavior) as (keyof NatBehavior)[]) {
    const why = complaint(name, behavior[name]);
    if (why !== undefined) throw new PosternError("NATLAB_BEHAVIOR", why);
  }
  return behavior;
}

/** Programs without a compiler's help declare NATs too. */
function complaint(name: keyof NatBehavior, value: unknown): string | undefined {
  const usual = wellBehaved[name];
  if (usual === undefined) return `A NAT has no "${name}", only ${Object.keys(wellBehaved).join(", ")}.`;
  if (words[name]?.includes(value as string) === false) return `${name} is one of ${words[name].join(", ")}.`;
  if (typeof value !== typeof usual) return `${name} is of another type: such as ${JSON.stringify(usual)}.`;
  if (name !== "ports" || portKinds.includes((value as PortAssignment).kind)) return undefined;
  return `ports is { kind }, which is one of ${portKinds.join(", ")}.`;
}
