/** Why a path was chosen, and why there is none: for programs a stable code, for people a sentence and what would help. */
import type { ListedComponent } from "./checklist.ts";
import type { CandidatePair } from "./pair.ts";
import type { AgentState } from "./state.ts";

/** Why this path. */
export type ChoiceCode =
  /** No other pair could be better. */
  | "best-of-all"
  /** Every better pair has failed. */
  | "better-failed"
  /** Every better pair was tried, and was not answered in time. */
  | "better-unanswered"
  /** The peer, which is controlling, has nominated it. */
  | "peer-nominated"
  /** A better path than the one in use was found later. */
  | "moved-to-better"
  /** The path in use has fallen silent, or was lost. */
  | "replaced-lost";

/** Why there is no path. */
export type CauseCode =
  | "no-answer-from-signaling"
  | "no-remote-candidates"
  | "names-not-found"
  | "no-local-candidates"
  | "no-relay"
  | "no-common-family"
  | "udp-blocked"
  | "credentials-differ"
  | "relay-refuses-peer"
  | "both-map-by-destination"
  | "own-nat-maps-by-destination"
  | "peer-nat-maps-by-destination"
  | "one-way"
  | "no-answer"
  | "still-checking"
  | "consent-expired"
  | "address-lost";

export interface Reason {
  readonly code: ChoiceCode | CauseCode;
  /** A sentence. */
  readonly why: string;
  /** What would help: a sentence; undefined: nothing needs to be mended. */
  readonly help: string | undefined;
}

const CHOICES: Readonly<Record<ChoiceCode, string>> = {
  "best-of-all": "No pair of candidates is better than this one.",
  "better-failed": "Every better pair of candidates has failed.",
  "better-unanswered": "Every better pair of candidates was tried, and was not answered in time.",
  "peer-nominated": "The peer decides which path is used, and has nominated this one.",
  "moved-to-better": "A better path than the one in use has been found.",
  "replaced-lost": "The path that was in use has fallen silent or was lost, and this one works.",
};

const ADD_TURN = "A TURN server that one of the two can reach would carry the call.";

const CAUSES: Readonly<Record<CauseCode, readonly [why: string, help: string]>> = {
  "no-answer-from-signaling": [
    "The peer's description has not come: nobody has answered, or the signaling does not get through.",
    "See whether the peer is there, and whether the signaling carries both descriptions.",
  ],
  "no-remote-candidates": [
    "The peer has told no candidate: it has no usable address, or its candidates do not come through the signaling.",
    "See whether candidates that the peer finds later are passed on to this agent.",
  ],
  "names-not-found": [
    "The peer hides its addresses behind names, which nobody on this link answers for: it is on another network.",
    ADD_TURN,
  ],
  "no-local-candidates": [
    "This host has no address to be reached at.",
    "Connect it to a network, and give the agent a socket for each of its addresses.",
  ],
  "no-relay": [
    "Only relayed paths are allowed, and there is no relay.",
    "See why the TURN server gives no allocation (`relayFailures` in the report): its address, the credentials, a firewall on the way.",
  ],
  "no-common-family": [
    "One side has IPv4 addresses alone and the other IPv6 alone.",
    "A TURN server with addresses of both families would connect them.",
  ],
  "udp-blocked": [
    "No STUN server has answered, nor has the peer: the network lets no UDP out, or none back in.",
    "A TURN server that is reached over TCP or TLS, on port 443, gets through most such networks.",
  ],
  "credentials-differ": [
    "The peer's checks arrive, but are sealed with other credentials: one side has an outdated description.",
    "See whether both descriptions are of the same call, and of the newest offer and answer.",
  ],
  "relay-refuses-peer": [
    "The TURN server refuses to send to the peer's addresses.",
    "See which peers the TURN server denies: private address ranges are denied by most.",
  ],
  "both-map-by-destination": [
    "Both NATs give every destination another port, so that neither side's addresses are those the other was told.",
    ADD_TURN,
  ],
  "own-nat-maps-by-destination": [
    "This side's NAT gives every destination another port, and the peer's lets in only what it has sent to.",
    ADD_TURN,
  ],
  "peer-nat-maps-by-destination": [
    "The peer's NAT gives every destination another port, and this side's lets in only what it has sent to.",
    ADD_TURN,
  ],
  "one-way": [
    "The peer's checks arrive, but it answers none of ours: a firewall lets packets through in one direction alone.",
    ADD_TURN,
  ],
  "no-answer": ["The peer answers no check: its firewall or NAT drops them, or the peer is gone.", ADD_TURN],
  "still-checking": ["Checks are still under way.", "Wait."],
  "consent-expired": [
    "The peer has stopped answering on the path in use, and on every other.",
    "Restart ICE when the network is back.",
  ],
  "address-lost": [
    "The address that the path started from is gone, and no other works.",
    "Add the host's new addresses, and restart ICE.",
  ],
};

export function cause(code: CauseCode): Reason {
  const [why, help] = CAUSES[code];
  return { code, why, help };
}

export function choice(code: ChoiceCode): Reason {
  return { code, why: CHOICES[code], help: undefined };
}

/** Why this pair becomes the component's path. */
export function reasonToSelect(state: AgentState, component: ListedComponent, pair: CandidatePair): Reason {
  const { selected, isDoubtful, hadPath } = component;
  if (hadPath && (selected === undefined || isDoubtful)) return choice("replaced-lost");
  if (selected !== undefined) return choice("moved-to-better");
  if (!state.isControlling) return choice("peer-nominated");
  const better = component.list.of(component.id).filter(({ priority }) => priority > pair.priority);
  if (better.length === 0) return choice("best-of-all");
  return choice(better.every((one) => one.state === "failed") ? "better-failed" : "better-unanswered");
}
