/** The session description in a message's body, alone or among other parts. */
import { parseSdp, type SdpDocument, type SdpFailure } from "../sdp/document.ts";
import type { SipMessage } from "../sip/message/message.ts";
import { type BodyPart, bodyParts, withPart } from "../sip/message/multipart.ts";

const TYPE = "application/sdp";

function sdpPart(message: SipMessage): BodyPart | undefined {
  if (message.body === "") return undefined;
  const parts = bodyParts(message.body, message.header("content-type") ?? TYPE);
  return parts.find(({ contentType }) => contentType === TYPE);
}

/** Undefined where there is none. */
export function sessionOf(message: SipMessage): SdpDocument | SdpFailure | undefined {
  const part = sdpPart(message);
  return part && parseSdp(part.text);
}

export function hasSession(message: SipMessage): boolean {
  return sdpPart(message) !== undefined;
}

/** Puts another in its place; what is beside it stays. */
export function replaceSession(message: SipMessage, document: SdpDocument): void {
  const part = sdpPart(message);
  if (part !== undefined) message.setBody(withPart(message.body, part, document.format()));
}
