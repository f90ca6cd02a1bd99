/**
 * What RFC 4787 lets one declare of a NAT: plain values, without the code that behaves so. The NAT reads them, and so
 * does the oracle, which knows nothing else.
 */

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
  /** Milliseconds that an unused mapping lives. */
  readonly lifetime: number;
  /** Which traffic makes a mapping live on. */
  readonly refreshedBy: "outbound" | "inbound" | "both";
  /** Whether a refresh is for the whole mapping, or only for the remote endpoint that it was for. */
  readonly refreshScope: "mapping" | "session";
  /** What an inside host sees that is reached from inside by its outside address: nothing, or which source. */
  readonly hairpin: "none" | "internal" | "external";
  /** Rewrites addresses that it finds in payloads, as application level gateways do. */
  readonly rewritesPayload: boolean;
  readonly fragments: "pass" | "drop";
  /** Mappings at the same time. */
  readonly maxMappings: number;
  readonly maxMappingsPerHost: number;
}

/** A NAT that keeps RFC 4787's requirements and recommendations, as far as they prescribe one behavior. */
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
};

/** The behavior that RFC 4787 asks for, but for what is named. */
export function natBehavior(departures: Partial<NatBehavior> = {}): NatBehavior {
  return { ...wellBehaved, ...departures };
}
