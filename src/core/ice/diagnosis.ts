/** The likeliest reason why a stream has no path, from what was seen. The first that fits is the one. */
import { type Address, formatAddress, sameAddress, sameIp } from "../base/address.ts";
import { type Candidate, isHidden } from "./candidate.ts";
import type { Checklist } from "./checklist.ts";
import { isPending } from "./pacing.ts";
import { type CauseCode, cause, type Reason } from "./reasons.ts";
import { type IceReport, reportOf } from "./report.ts";
import type { AgentState } from "./state.ts";

export interface Diagnosis {
  readonly reason: Reason;
  readonly report: IceReport;
}

export function diagnose(state: AgentState, list: Checklist): Diagnosis {
  const report = reportOf(state, list);
  const isOutstanding = !list.isFailed && list.pairs.some((pair) => isPending(pair) && pair.checksSent < 2);
  const code = lostPath(list) ?? missing(state, list, report) ?? unreached(report);
  const isVague = code === "no-answer" && isOutstanding;
  return { reason: cause(isVague ? "still-checking" : code), report };
}

function lostPath({ components, pairs }: Checklist): CauseCode | undefined {
  const lost = components.find(({ hadPath, selected }) => hadPath && selected === undefined);
  if (lost === undefined) return undefined;
  return pairs.some(({ failure }) => failure === "consent-expired") ? "consent-expired" : "address-lost";
}

/** Something without which no check can be made. */
function missing(
  state: AgentState,
  list: Checklist,
  { local, remote, unsealed, nameFailures }: IceReport,
): CauseCode | undefined {
  if (list.remote === undefined) return "no-answer-from-signaling";
  if (unsealed > 0 && !list.pairs.some(({ isHeard }) => isHeard)) return "credentials-differ";
  if (local.length === 0) return state.config.policy === "relay" ? "no-relay" : "no-local-candidates";
  if (remote.length === 0) return nameFailures.length > 0 ? "names-not-found" : "no-remote-candidates";
  const families = new Set(local.map(({ address }) => address.family));
  if (!remote.some(({ address }) => families.has(address.family))) return "no-common-family";
  return undefined;
}

function unreached({ pairs, servers, local, remote, refusedPeers }: IceReport): CauseCode {
  const isHeard = pairs.some((pair) => pair.isHeard);
  if (!isHeard && servers.length > 0 && servers.every(({ mapped }) => mapped === undefined)) return "udp-blocked";
  const [own, peers] = [mapsByDestination(local, servers), peerMapsByDestination(remote)];
  if (own && peers) return "both-map-by-destination";
  if (own) return "own-nat-maps-by-destination";
  if (peers) return "peer-nat-maps-by-destination";
  if (isHeard) return "one-way";
  const isRefused =
    refusedPeers.length > 0 && pairs.every(({ failure, kind }) => kind === "direct" || failure !== undefined);
  return isRefused ? "relay-refuses-peer" : "no-answer";
}

/** Two servers see one socket at different ports, or the peer sees it where no server does. */
function mapsByDestination(local: readonly Candidate[], servers: IceReport["servers"]): boolean {
  const differs = servers.some(({ from, mapped }) => {
    const seen = servers.filter((other) => sameAddress(other.from, from) && other.mapped !== undefined);
    return mapped !== undefined && seen.some((other) => !sameAddress(other.mapped as Address, mapped));
  });
  return differs || hasSiblings(local);
}

/**
 * The peer has told of two reflexive addresses of one socket, or its checks come from another port of an address that it
 * has told of.
 */
function peerMapsByDestination(remote: readonly Candidate[]): boolean {
  return hasSiblings(remote);
}

function hasSiblings(candidates: readonly Candidate[]): boolean {
  const reflexive = candidates.filter(({ type }) => type === "srflx" || type === "prflx");
  return reflexive.some((one) =>
    reflexive.some(
      (other) =>
        other !== one &&
        other.component === one.component &&
        sameIp(other.address, one.address) &&
        other.address.port !== one.address.port &&
        isOfOneSocket(one, other),
    ),
  );
}

/** As far as is known: a peer-reflexive candidate has no related address to go by. */
function isOfOneSocket(one: Candidate, other: Candidate): boolean {
  if (one.related === undefined || other.related === undefined) return true;
  return !isHidden(one.related) && formatAddress(one.related) === formatAddress(other.related);
}
