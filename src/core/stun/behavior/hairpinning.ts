/**
 * Whether two hosts behind one NAT meet at their public addresses (RFC 5780 §3.4). Both send, as two hosts would, so
 * that a filter that wants to have seen a packet outward sees one.
 */
import { type Address, sameIp } from "../../base/address.ts";
import type { Probes } from "./probes.ts";
import { type Outcome, type ProbeSocket, type Procedure, together } from "./procedure.ts";
import { type Finding, type Hairpinning, known, type Mapping, unknown } from "./report.ts";

export interface MappedSocket {
  readonly socket: ProbeSocket;
  readonly mapped: Readonly<Address>;
}

export function* hairpins(probes: Probes, one: MappedSocket, two: MappedSocket): Procedure<readonly Outcome[]> {
  return yield* together(
    probes.hairpin(one.socket, two.mapped, two.socket),
    probes.hairpin(two.socket, one.mapped, one.socket),
  );
}

export function judgeHairpins(
  outcomes: readonly Outcome[],
  local: Readonly<Address>,
  mapping: Finding<Mapping>,
): Finding<Hairpinning> {
  const sources = outcomes.flatMap((outcome) => (outcome.kind === "echo" ? [outcome.from] : []));
  if (sources.length > 0) {
    return known(sources.some((from) => sameIp(from, local)) ? "internal-source" : "external-source");
  }
  // What leaves for our own public address may be mapped anew, and a filter that has never seen that mapping drops it.
  if (mapping.known && mapping.value === "endpoint-independent") return known("none");
  return unknown(mapping.known ? "hidden-by-filter" : mapping.why);
}
