/** How a candidate is shown to the peer: as it is, or with what would give the host's addresses away hidden. */
import { blankAddress } from "../../core/base/address.ts";
import type { Candidate } from "../../core/ice/candidate.ts";
import type { LocalNames } from "../mdns/local-names.ts";

export interface ShownCandidate extends Candidate {
  /** In the place of the address. */
  readonly name?: string;
}

/** Of a related address that is not told: mDNS candidates draft §3.1.2. */
const HIDDEN_PORT = 9;

/** Undefined: it is not told, because no name can stand for its address. */
export function behindNames(candidate: Candidate, names: LocalNames): ShownCandidate | undefined {
  if (candidate.type === "host") {
    const name = names.nameOf(candidate.address);
    return name === undefined ? undefined : { ...candidate, name };
  }
  const { related } = candidate;
  if (related === undefined) return candidate;
  return { ...candidate, related: { ...blankAddress(), family: related.family, port: HIDDEN_PORT } };
}
