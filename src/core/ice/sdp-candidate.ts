/** The candidate attribute of SDP, which what describes a call needs too. */
export { type CandidateLine, formatCandidate, type NamedCandidate, parseCandidate } from "../sdp/candidate.ts";
