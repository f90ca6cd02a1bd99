/**
 * What two agents tell each other, as text: the lines of ICE in SDP (RFC 8839 §5), one below the other. What is read may be
 * a whole session description: everything else in it is passed over.
 */
import { PosternError } from "../../core/base/failure.ts";
import type { Candidate } from "../../core/ice/candidate.ts";
import type { IceCredentials } from "../../core/ice/credentials.ts";
import type { RemoteDescription } from "../../core/ice/restart.ts";
import { formatIceLines, HARD_NATS_OPTION, parseIceAttribute } from "../../core/ice/sdp.ts";
import { formatCandidate, type NamedCandidate } from "../../core/ice/sdp-candidate.ts";
import type { ShownCandidate } from "./shown-candidate.ts";

export const END_OF_CANDIDATES = "end-of-candidates";

/** A candidate to be told by itself; `ufrag` says of which description it is (RFC 8839 §5.1). */
export function candidateLine(candidate: ShownCandidate, ufrag: string): string {
  return `${formatCandidate(candidate, candidate.name)} ufrag ${ufrag}`;
}

export function formatDescription(
  { ufrag, password }: IceCredentials,
  candidates: readonly ShownCandidate[],
  isEnd: boolean,
  hardNats: boolean = false,
): string {
  // RFC 8838 §3: an agent that can take candidates one by one says so.
  const options = ["ice2", "trickle", ...(hardNats ? [HARD_NATS_OPTION] : [])];
  const own = formatIceLines({ ufrag, password, isLite: false, options });
  const lines = [
    ...own,
    ...candidates.map((one) => formatCandidate(one, one.name)),
    ...(isEnd ? [END_OF_CANDIDATES] : []),
  ];
  return lines.map((line) => `a=${line}\r\n`).join("");
}

/** Session level, and the first media description: the others of a bundle share its transport (RFC 8843 §7.2). */
function firstMedia(text: string): string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const second = lines.findIndex(
    (line, i) => line.startsWith("m=") && lines.slice(0, i).some((one) => one.startsWith("m=")),
  );
  return second < 0 ? lines : lines.slice(0, second);
}

/** Throws `PosternError` `bad-ice-description`. */
export function parseDescription(text: string): RemoteDescription {
  let [ufrag, password, isLite, isEnd, hardNats]: [string?, string?, boolean?, boolean?, boolean?] = [];
  const candidates: Candidate[] = [];
  for (const attribute of firstMedia(text).map(parseIceAttribute)) {
    if (attribute?.kind === "ufrag") ufrag = attribute.ufrag;
    else if (attribute?.kind === "password") password = attribute.password;
    else if (attribute?.kind === "lite") isLite = true;
    else if (attribute?.kind === "end-of-candidates") isEnd = true;
    else if (attribute?.kind === "options") hardNats ||= attribute.options.includes(HARD_NATS_OPTION);
    else if (attribute?.kind === "candidate") candidates.push(attribute.candidate);
  }
  if (ufrag !== undefined && password !== undefined) {
    return { ufrag, password, candidates, isLite: isLite === true, isEnd: isEnd === true, hardNats: hardNats === true };
  }
  throw new PosternError(
    "bad-ice-description",
    "A description has the lines a=ice-ufrag:… and a=ice-pwd:…: hand over what the peer's localDescription gave, whole.",
  );
}

/** The candidates of a description whose addresses have to be looked up. */
export function namedCandidates(text: string): NamedCandidate[] {
  return firstMedia(text)
    .map(parseIceAttribute)
    .filter((attribute) => attribute?.kind === "named");
}
