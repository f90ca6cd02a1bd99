/**
 * Offers and answers (RFC 3264) on descriptions: what to offer, what to answer, what both together come to. A late offer,
 * in the answer to an INVITE, is an offer like any other.
 */
import { PosternError } from "../base/failure.ts";
import { commonCodecs, isSameCodec } from "./codecs.ts";
import type {
  CallDescription,
  Certificate,
  Codec,
  Direction,
  IceDescription,
  Place,
  SharedKey,
  StreamDescription,
} from "./description.ts";
import { answeredDirection, held, receives, sends } from "./direction.ts";

/** What we have for streams of one kind. */
export interface StreamCapability {
  readonly kind: string;
  /** RTP profiles that are spoken, `RTP/AVP` say; the first is offered. */
  readonly profiles: readonly string[];
  readonly codecs: readonly Codec[];
  readonly canMultiplex: boolean;
  readonly packetTime: number | undefined;
}

/** One stream of ours: where we want it, and what we tell about it. */
export interface OwnStream {
  readonly media: Place;
  readonly control: Place | undefined;
  /** What we would like. */
  readonly direction: Direction;
  readonly sharedKeys?: readonly SharedKey[];
  readonly certificate?: Certificate;
  readonly ice?: IceDescription;
}

/** RFC 3264 §5.1: a stream to be offered. */
export function offeredStream(capability: StreamCapability, own: OwnStream): StreamDescription {
  const profile = capability.profiles[0];
  if (profile === undefined || capability.codecs.length === 0) {
    throw new PosternError("nothing-to-offer", "A stream is offered in one profile and one codec at least.");
  }
  return {
    ...ownParts(own, capability),
    kind: capability.kind,
    profile,
    name: undefined,
    direction: own.direction,
    isMultiplexed: capability.canMultiplex,
    codecs: capability.codecs,
    formats: capability.codecs.map(({ payloadType }) => `${payloadType}`),
  };
}

function ownParts(
  { media, control, sharedKeys, certificate, ice }: OwnStream,
  { packetTime }: StreamCapability,
): Omit<StreamDescription, "kind" | "profile" | "name" | "direction" | "isMultiplexed" | "codecs" | "formats"> {
  return {
    carrier: "rtp",
    isRefused: false,
    isUnplaced: false,
    media,
    control,
    packetTime,
    sharedKeys: sharedKeys ?? [],
    certificate,
    ice,
  };
}

/**
 * RFC 3264 §6: the answer. `own[i]` is for the offer's stream i; undefined refuses it, and so does a stream in no codec,
 * profile or carrier of ours.
 */
export function answerOffer(
  offer: CallDescription,
  capabilities: readonly StreamCapability[],
  own: readonly (OwnStream | undefined)[],
): CallDescription {
  return { streams: offer.streams.map((stream, index) => answeredStream(stream, capabilities, own[index])) };
}

function answeredStream(
  offered: StreamDescription,
  capabilities: readonly StreamCapability[],
  own: OwnStream | undefined,
): StreamDescription {
  const capability = capabilities.find(({ kind, profiles }) => kind === offered.kind && speaks(profiles, offered));
  if (own === undefined || capability === undefined || offered.isRefused) return refused(offered);
  const codecs = commonCodecs(offered.codecs, capability.codecs);
  if (codecs.length === 0) return refused(offered);
  return {
    ...ownParts(own, capability),
    kind: offered.kind,
    // RFC 3264 §6: the answer is in the offer's own transport.
    profile: offered.profile,
    name: offered.name,
    // RFC 2543 §B.5: who wants media at 0.0.0.0 hears nothing, whatever else is said.
    direction: answeredDirection(offered.isUnplaced ? held(offered.direction) : offered.direction, own.direction),
    // RFC 5761 §5.1.1: an answer says it where the offer did.
    isMultiplexed: offered.isMultiplexed && capability.canMultiplex,
    codecs,
    formats: codecs.map(({ payloadType }) => `${payloadType}`),
  };
}

function speaks(profiles: readonly string[], { carrier, profile }: StreamDescription): boolean {
  return carrier === "rtp" && profiles.some((one) => one.toUpperCase() === profile.toUpperCase());
}

/** RFC 3264 §6: a refused stream keeps its place and its kind, with port 0. */
export function refused(stream: StreamDescription): StreamDescription {
  return {
    ...stream,
    isRefused: true,
    direction: "inactive",
    isUnplaced: false,
    media: undefined,
    control: undefined,
    isMultiplexed: false,
    packetTime: undefined,
    sharedKeys: [],
    certificate: undefined,
    ice: undefined,
  };
}

/**
 * RFC 3264 §8: the next offer. `changed[i]` takes the place of stream i: undefined leaves it, `"end"` ends it. What is
 * `added` gets the place of a stream that has ended (§8.1), or comes last; no place is ever lost.
 */
export function nextOffer(
  last: CallDescription,
  changed: readonly (StreamDescription | "end" | undefined)[],
  added: readonly StreamDescription[] = [],
): CallDescription {
  const waiting = [...added];
  const streams = last.streams.map((stream, index) => {
    const change = changed[index];
    if (change === "end") return refused(stream);
    if (change !== undefined) return change;
    return stream.isRefused ? (waiting.shift() ?? stream) : stream;
  });
  return { streams: [...streams, ...waiting] };
}

/** RFC 3264 §8.4: the description with every live stream held. To resume, offer what was offered before. */
export function onHold({ streams }: CallDescription): CallDescription {
  return {
    streams: streams.map((stream) => ({ ...stream, direction: held(stream.direction) })),
  };
}

/** What an offer and its answer come to for one stream. */
export interface AgreedStream {
  readonly kind: string;
  readonly isRefused: boolean;
  /** As the offerer sees it. */
  readonly direction: Direction;
  readonly isMultiplexed: boolean;
  /** What each may send: the codecs that the other wants, by the other's numbers. */
  readonly fromOfferer: readonly Codec[];
  readonly fromAnswerer: readonly Codec[];
}

/** `stream-count`, `kind`, `carrier`: the answer is to another offer (RFC 3264 §6). */
export type Disagreement = "stream-count" | "kind" | "carrier";

export function agree(offer: CallDescription, answer: CallDescription): readonly AgreedStream[] | Disagreement {
  // RFC 3264 §6: an answer has as many streams as the offer, each in its place.
  if (offer.streams.length !== answer.streams.length) return "stream-count";
  const agreed: AgreedStream[] = [];
  for (const [index, offered] of offer.streams.entries()) {
    const answered = answer.streams[index] as StreamDescription;
    if (answered.kind.toLowerCase() !== offered.kind.toLowerCase()) return "kind";
    if (!answered.isRefused && answered.carrier !== offered.carrier) return "carrier";
    agreed.push(agreedStream(offered, answered));
  }
  return agreed;
}

function agreedStream(offered: StreamDescription, answered: StreamDescription): AgreedStream {
  const isRefused = offered.isRefused || answered.isRefused;
  const direction = isRefused ? "inactive" : answeredDirection(reversedWish(answered), offered.direction);
  const shared = (codec: Codec) => offered.codecs.some((one) => isSameCodec(one, codec));
  return {
    kind: offered.kind,
    isRefused,
    direction,
    isMultiplexed: !isRefused && offered.isMultiplexed && answered.isMultiplexed,
    fromOfferer: sends(direction) ? answered.codecs.filter(shared) : [],
    // RFC 3264 §6.1: the answerer sends by the numbers of the offer.
    fromAnswerer: receives(direction)
      ? offered.codecs.filter((codec) => answered.codecs.some((one) => isSameCodec(one, codec)))
      : [],
  };
}

/** What the answerer would have offered itself. */
function reversedWish({ direction, isUnplaced }: StreamDescription): Direction {
  return isUnplaced ? held(direction) : direction;
}
