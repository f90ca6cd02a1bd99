/** The session description in a message's body, alone or among other parts. */
import { parseSdp, type SdpDocument, type SdpFailure } from "../sdp/document.ts";
import { flawOf, type SdpFlaw } from "../sdp/flaw.ts";
import type { SipMessage } from "../sip/message/message.ts";
import { type BodyPart, bodyParts, withPart } from "../sip/message/multipart.ts";

const TYPE = "application/sdp";

/** Why a description cannot be relayed. `several`: one would be exchanged, and another read. */
export type SessionFailure = SdpFailure | SdpFlaw | "several";

function sdpParts(message: SipMessage): readonly BodyPart[] {
  if (message.body === "") return [];
  const parts = bodyParts(message.body, message.header("content-type") ?? TYPE);
  return parts.filter(({ contentType }) => contentType === TYPE);
}

/** Undefined where there is none. */
export function sessionOf(message: SipMessage): SdpDocument | SessionFailure | undefined {
  const [part, ...others] = sdpParts(message);
  if (part === undefined) return undefined;
  return others.length > 0 ? "several" : readSession(part.text);
}

/** A description that can be acted on, every line of it. */
export function readSession(text: string): SdpDocument | SdpFailure | SdpFlaw {
  const document = parseSdp(text);
  return typeof document === "string" ? document : (flawOf(document) ?? document);
}

export function hasSession(message: SipMessage): boolean {
  return sdpParts(message).length > 0;
}

/** Puts another in its place; what is beside it stays. */
export function replaceSession(message: SipMessage, document: SdpDocument): void {
  const [part] = sdpParts(message);
  if (part !== undefined) message.setBody(withPart(message.body, part, document.format()));
}
