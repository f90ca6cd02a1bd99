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
  /** The server does not send answers to another port when it is asked to. */
  | "response-port-unsupported"
  /** The NAT gives one host several public addresses. */
  | "several-public-addresses"
  /** The NAT maps by destination, so its filter may hide the answer to this question. */
  | "hidden-by-filter"
  /** Too few different mappings were seen. */
  | "too-few-mappings"
  /** The server does not answer over TCP. */
  | "no-tcp";

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
  readonly passages: Finding<readonly Passage[]>;
  readonly tcpMapping: Finding<Mapping>;
}
