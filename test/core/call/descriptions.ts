/** Descriptions, capabilities and places for tests of calls. */
import assert from "node:assert/strict";
import type { CallDescription, Codec, StreamDescription } from "../../../src/core/call/description.ts";
import { type OwnStream, offeredStream, type StreamCapability } from "../../../src/core/call/offer-answer.ts";
import { describeSdp, placeOf } from "../../../src/core/call/sdp.ts";
import { parseSdp } from "../../../src/core/sdp/document.ts";

export function codec(payloadType: number, name: string, clockRate = 8000, channels = 1, parameters = ""): Codec {
  return { payloadType, name, clockRate, channels, parameters };
}

export const PCMU: Codec = codec(0, "PCMU");
export const PCMA: Codec = codec(8, "PCMA");
export const EVENTS: Codec = codec(101, "telephone-event", 8000, 1, "0-16");

export function voice(fields: Partial<StreamCapability> = {}): StreamCapability {
  return {
    kind: "audio",
    profiles: ["RTP/AVP"],
    codecs: [PCMU, PCMA, EVENTS],
    canMultiplex: false,
    packetTime: 20,
    ...fields,
  };
}

export function own(port = 4000, fields: Partial<OwnStream> = {}): OwnStream {
  return {
    media: placeOf("192.0.2.1", port),
    control: placeOf("192.0.2.1", port + 1),
    direction: "sendrecv",
    ...fields,
  };
}

export function offerOf(...streams: readonly StreamDescription[]): CallDescription {
  return { streams: streams.length === 0 ? [offeredStream(voice(), own())] : streams };
}

export function described(text: string): CallDescription {
  const document = parseSdp(text);
  assert.ok(typeof document !== "string", String(document));
  return describeSdp(document);
}

export function only({ streams }: CallDescription): StreamDescription {
  assert.equal(streams.length, 1);
  return streams[0] as StreamDescription;
}
