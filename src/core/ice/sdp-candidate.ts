/** The candidate attribute of SDP, which what describes a call needs too. */
export { type CandidateLine, formatCandidate, parseCandidate } from "../sdp/candidate.ts";
