/**
 * What is found out about the NATs and firewalls between this host and STUN servers: plain values, in RFC 4787's words.
 * A finding is a value that was measured, or the reason why it could not be; nothing is guessed.
 */
import type { Address, Family } from "../../base/address.ts";

/** Stable: programs decide by them. */
export type UnknownReason =
  /** It was not asked for. */
  | "not-tested"
  /** A socket could not be opened. */
  | "no-socket"
  /** No server answers. */
  | "no-answer"
  /** There is no NAT, and without one there is no such thing. */
  | "no-nat"
  /** The server has one address: it can neither be asked from elsewhere nor answer from there. */
  | "one-address"
  /** The server names another address, and nothing answers there. */
  | "other-address-silent"
  /** Asked to answer from elsewhere, the server answers from where it was asked. */
  | "change-ignored"
  /** Asked to answer from elsewhere, the server says that it does not. */
  | "change-refused"
  /** The answer came from an address that is neither the server's nor its other one. */
  | "answer-from-elsewhere"
  /** Answers from elsewhere do not arrive even where nothing can stop them: the server may never send them. */
  | "change-unproven"
  /** The server says that it has answered too many such requests of this address: in a minute it may again. */
  | "server-busy"
  /** The server does not send answers to another port when it is asked to. */
  | "response-port-unsupported"
  /** The NAT gives one host several public addresses. */
  | "several-public-addresses"
  /** The NAT maps by destination, so its filter may hide the answer to this question. */
  | "hidden-by-filter"
  /** Too few different mappings were seen. */
  | "too-few-mappings"
  /** The server does not answer over TCP. */
  | "no-tcp"
  /** Everybody is let in, so there is no filter to look for. */
  | "no-filter"
  /** The filter is open after a packet that goes no further than the first hop: it is nearer, or nobody counts hops. */
  | "opened-by-first-hop"
  /** The filter is further away than was looked for. */
  | "too-far"
  /** This host has no default gateway, or does not tell which it is. */
  | "no-gateway"
  /** The gateway has no private address, and is somebody else's: it is not asked. */
  | "gateway-not-private"
  /** The gateway does not answer NAT-PMP. */
  | "gateway-silent"
  /** The gateway refuses to tell its external address. */
  | "gateway-refuses"
  /** The gateway says that it has no external address. Many say so when theirs is a private one. */
  | "gateway-without-address"
  /** Nothing that was seen tells. */
  | "no-evidence"
  /** Not even the shortest of the long datagrams was answered: the server may not answer such. */
  | "no-long-answer";

export type Finding<T> =
  | { readonly known: true; readonly value: T }
  | { readonly known: false; readonly why: UnknownReason };

export function known<T>(value: T): Finding<T> {
  return { known: true, value };
}

export function unknown(why: UnknownReason): Finding<never> {
  return { known: false, why };
}

/** RFC 4787 §4.1. `destination-dependent`: one of the last two, and the servers cannot tell which. */
export type Mapping =
  | "endpoint-independent"
  | "destination-dependent"
  | "address-dependent"
  | "address-and-port-dependent";

/** RFC 4787 §5. */
export type Filtering = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";

/** RFC 4787 §6: what a packet to our own public address looks like when it comes back. */
export type Hairpinning = "external-source" | "internal-source" | "none";

/** RFC 4787 §4.2: how public ports are chosen. */
export type PortAllocation =
  | { readonly pattern: "preserving" | "random" }
  | { readonly pattern: "sequential"; readonly step: number };

/** Seconds. A binding that is idle for `atLeast` lives, and for `below` does not; undefined: it outlived the longest test. */
export interface BindingLifetime {
  readonly atLeast: number;
  readonly below: number | undefined;
  readonly refreshedByOutbound: Finding<boolean>;
  readonly refreshedByInbound: Finding<boolean>;
}

/** Whether datagrams of this length, IP header included, get to the server, and whether such answers come back. */
export interface Passage {
  readonly bytes: number;
  /** `outward`: the request arrived, and the server does not pad its answer. `not`: lost in one direction or the other. */
  readonly passes: "both-ways" | "outward" | "not";
}

/** Bytes, IP header included. */
export interface LongestDatagram {
  /** Of the lengths that were tried and that Ethernet takes whole, the longest that passes. */
  readonly bytes: number;
  readonly passes: "both-ways" | "outward";
  /** The next length that was tried, and is lost; undefined: there is none. */
  readonly lost: number | undefined;
}

/**
 * `several`: one NAT stands behind another. `probably-several`: what was seen has another explanation too, such as a
 * router without a NAT, or one with two ways out. `provider`: this host itself has an address that providers give out
 * and translate (RFC 6598).
 */
export type NatLayers = "one" | "several" | "probably-several" | "provider";

/** What is known of how many NATs there are, and where. */
export interface LayerEvidence {
  /** Our own address is of the range that providers share out among customers and translate (RFC 6598 §7). */
  readonly sharedAddress: boolean;
  /** The external address of the default gateway, as it says (RFC 6886); its port is zero. */
  readonly gatewayAddress: Finding<Readonly<Address>>;
  /** How many hops away the outermost filter is: 1 is the default gateway. */
  readonly filterHops: Finding<number>;
}

/** RFC 3489 §5, and §10.1 for those without a NAT. */
export type ClassicName =
  | "open"
  | "symmetric-firewall"
  | "full-cone"
  | "restricted-cone"
  | "port-restricted-cone"
  | "symmetric";

export interface ServerSeen {
  readonly server: Readonly<Address>;
  /** Our address as it sees it; undefined: it did not answer. */
  readonly mapped: Readonly<Address> | undefined;
  /** Its OTHER-ADDRESS, where that is another IP address and another port. */
  readonly other: Readonly<Address> | undefined;
}

export interface BehaviorReport {
  readonly family: Family;
  /** Of the first socket; undefined when none could be opened. */
  readonly local: Readonly<Address> | undefined;
  readonly servers: readonly ServerSeen[];
  /** Every address that a server has seen us at; ports are zero. */
  readonly publicAddresses: readonly Readonly<Address>[];
  /** Whether our address is translated. */
  readonly translated: Finding<boolean>;
  /** Whether something on the path rewrites addresses inside packets (RFC 5780 §3.6). */
  readonly rewritten: Finding<boolean>;
  readonly mapping: Finding<Mapping>;
  readonly filtering: Finding<Filtering>;
  readonly classicName: Finding<ClassicName>;
  readonly ports: Finding<PortAllocation>;
  readonly hairpinning: Finding<Hairpinning>;
  readonly lifetime: Finding<BindingLifetime>;
  readonly layers: Finding<NatLayers>;
  readonly layerEvidence: LayerEvidence;
  readonly passages: Finding<readonly Passage[]>;
  /** Of `passages`, up to what Ethernet takes whole. */
  readonly longestDatagram: Finding<LongestDatagram>;
  /** Whether datagrams pass that must travel in fragments. */
  readonly fragments: Finding<boolean>;
  readonly tcpMapping: Finding<Mapping>;
}
