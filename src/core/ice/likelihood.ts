/** Which pairs are so unlikely to be of use that nothing waits for them. They are checked too, after the others. */
import { type Address, sameIp } from "../base/address.ts";
import { type Prefix, parsePrefix, prefixContains } from "../base/prefix.ts";
import type { Candidate } from "./candidate.ts";
import type { CandidatePair } from "./pair.ts";
import type { AgentState } from "./state.ts";

/** RFC 1918 §3, RFC 6598 §7: addresses that mean something else in every network. */
const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"].map(
  (text) => parsePrefix(text) as Prefix,
);

function isPrivate(address: Readonly<Address>): boolean {
  return PRIVATE.some((prefix) => prefixContains(prefix, address));
}

/**
 * A second mapping of a socket whose first is checked; or a private address of a network that shows another public address
 * than this one, and so is hardly the same.
 */
export function isUnlikely(state: AgentState, { remote, list, isHeard }: CandidatePair): boolean {
  if (isHeard) return false;
  if (remote.isSpare) return true;
  if (remote.type !== "host" || !isPrivate(remote.address)) return false;
  const isPublic = (one: Candidate): boolean => one.type === "srflx" && one.component === remote.component;
  const own = state.locals.filter((one) => isPublic(one) && one.base.stream === list.stream);
  const theirs = list.remotes.filter(isPublic);
  if (own.length === 0 || theirs.length === 0) return false;
  return !own.some((one) => theirs.some((other) => sameIp(one.address, other.address)));
}
