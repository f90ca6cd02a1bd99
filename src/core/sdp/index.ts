/** `postern/sdp`: session descriptions that are read and edited line by line; what is not edited stays byte for byte. */
export {
  type CryptoLine,
  type Direction,
  directionOf,
  type FingerprintLine,
  formatParametersOf,
  formatRtpmap,
  parseCrypto,
  parseFingerprint,
  parseRtpmap,
  type Rtpmap,
  setDirection,
} from "./attributes.ts";
export {
  type Candidate,
  type CandidateLine,
  type CandidateType,
  formatCandidate,
  type NamedCandidate,
  parseCandidate,
} from "./candidate.ts";
export {
  type Connection,
  connectionOf,
  formatConnection,
  isUnspecified,
  parseConnection,
  parseRtcp,
  type RtcpPlace,
} from "./connection.ts";
export { parseSdp, SdpDocument, type SdpFailure } from "./document.ts";
export { flawOf, type SdpFlaw } from "./flaw.ts";
export { hasIce, removeIce } from "./ice-attributes.ts";
export { type MediaLine, mediaLineOf, parseMediaLine, setMediaPort } from "./media-line.ts";
export { type SdpLine, SdpSection } from "./section.ts";
