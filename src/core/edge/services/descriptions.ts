/** What the services say of media: the echo takes whatever is offered, the milliwatt has one tone in two codecs. */

import type { Address } from "../../base/address.ts";
import { formatIp } from "../../base/address.ts";
import type { CallDescription, Codec, StreamDescription } from "../../call/description.ts";
import { formatSdp } from "../../call/format-sdp.ts";
import { answerOffer, type OwnStream, offeredStream, refused, type StreamCapability } from "../../call/offer-answer.ts";
import { placeOf } from "../../call/sdp.ts";
import { parseSdp, type SdpDocument, type SdpFailure } from "../../sdp/document.ts";

export const SERVICE_NAMES = ["echo", "milliwatt"] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** Whether calls to `user` are for a service. */
export function isServiceName(user: string): user is ServiceName {
  return (SERVICE_NAMES as readonly string[]).includes(user);
}

/** RFC 863: the port of nobody; the relay puts its own in its place. */
const ANY_PORT = 9;
const PROFILES = ["RTP/AVP", "RTP/AVPF"] as const;

const codec = (payloadType: number, name: string, clockRate = 8000, channels = 1, parameters = ""): Codec => ({
  ...{ payloadType, name, clockRate, channels, parameters },
});
const G711: readonly Codec[] = [codec(0, "PCMU"), codec(8, "PCMA")];
const CODECS: Readonly<Record<ServiceName, readonly Codec[]>> = {
  echo: [codec(96, "opus", 48_000, 2), codec(9, "G722"), ...G711, codec(101, "telephone-event", 8000, 1, "0-16")],
  milliwatt: G711,
};

function capability(kind: string, codecs: readonly Codec[]): StreamCapability {
  return { kind, profiles: PROFILES, codecs, canMultiplex: true, packetTime: 20 };
}

function ownStream(local: Readonly<Address>): OwnStream {
  return { media: placeOf(formatIp(local), ANY_PORT), control: undefined, direction: "sendrecv" };
}

/** Undefined where nothing of the offer can be taken. `local`: of the family that the caller speaks. */
export function answerOf(
  service: ServiceName,
  offer: CallDescription,
  local: Readonly<Address>,
): CallDescription | undefined {
  const streams = offer.streams.map((stream) => answered(service, stream, local));
  const first = streams.findIndex(({ isRefused }) => !isRefused);
  if (first < 0) return undefined;
  // One tone is enough.
  const taken = service === "echo" ? streams : streams.map((one, i) => (i === first ? one : refused(one)));
  return { streams: taken };
}

function answered(service: ServiceName, stream: StreamDescription, local: Readonly<Address>): StreamDescription {
  const isMedia = stream.kind === "audio" || (service === "echo" && stream.kind === "video");
  if (!isMedia) return refused(stream);
  const codecs = service === "echo" ? stream.codecs : CODECS.milliwatt;
  const own = { ...capability(stream.kind, codecs), packetTime: service === "echo" ? stream.packetTime : 20 };
  return answerOffer({ streams: [stream] }, [own], [ownStream(local)]).streams[0] as StreamDescription;
}

/** For a caller who makes no offer. */
export function offerOf(service: ServiceName, local: Readonly<Address>): CallDescription {
  return { streams: [offeredStream(capability("audio", CODECS[service]), ownStream(local))] };
}

/** A failure where it would be longer than any description may be: what is offered in few words may be many to say. */
export function documentOf(
  description: CallDescription,
  local: Readonly<Address>,
  origin: { readonly session: number; readonly version: number },
): SdpDocument | SdpFailure {
  return parseSdp(formatSdp(description, { ...origin, place: placeOf(formatIp(local), ANY_PORT) }));
}
