/** `postern/call`: what a call is (streams, places, codecs, candidates, keys), and offers and answers on it (RFC 3264). */
export { commonCodecs, isAuxiliary, isSameCodec } from "./codecs.ts";
export {
  type CallDescription,
  type Candidate,
  type Carrier,
  type Certificate,
  type Codec,
  type Direction,
  type IceDescription,
  isHeld,
  type Place,
  type SharedKey,
  type StreamDescription,
} from "./description.ts";
export { answeredDirection, held, receives, reversed, sends } from "./direction.ts";
export { formatSdp, type SdpOrigin } from "./format-sdp.ts";
export {
  type AgreedStream,
  agree,
  answerOffer,
  type Disagreement,
  nextOffer,
  type OwnStream,
  offeredStream,
  onHold,
  refused,
  type StreamCapability,
} from "./offer-answer.ts";
export { describeSdp, placeOf } from "./sdp.ts";
