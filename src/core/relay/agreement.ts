/**
 * What an offer and its answer change: only then is a party's description taken for true, so that an offer that is refused
 * leaves everything as it was. Here it is decided what a new description means for an endpoint that was learned.
 */
import type { Instant } from "../base/machine.ts";
import type { CallDescription, Place, StreamDescription } from "../call/description.ts";
import { sends } from "../call/direction.ts";
import { parsePayloadType } from "../sdp/attributes.ts";
import { isCarried } from "./carried.ts";
import { type Component, reroute, unsettle } from "./component.ts";
import { type IceTreatment, keyOf } from "./ice.ts";
import type { Agreement, Leg, LegParty, LegStream, Session } from "./leg.ts";
import { closePort } from "./port-pairs.ts";
import { isPartys, signaledOf, sourceOf } from "./reach.ts";
import type { RelayState } from "./state.ts";

/** `ice`: what the offerer is told of each stream. */
export function agreed(
  state: RelayState,
  offerer: Leg,
  answerer: Leg,
  answer: CallDescription,
  ice: readonly IceTreatment[],
  now: Instant,
): void {
  const { session } = offerer;
  const [offered, answered] = [offerer.saidTo(answerer), answerer.saidTo(offerer)];
  const offer = offered.offer ?? offered.agreed?.description;
  const offererIce: IceTreatment[] = [];
  const answererIce: IceTreatment[] = [];
  for (const [index, { ice: theirs }] of answer.streams.entries()) {
    const { offeredIce } = answerer.stream(index);
    const passes = ice[index] === "passes" && offeredIce === "passes";
    offererIce.push(passes ? "passes" : ice[index] === "ends" ? "ends" : undefined);
    answererIce.push(passes ? "passes" : offeredIce === "ends" && theirs !== undefined ? "ends" : undefined);
  }
  if (offer !== undefined) offered.agreed = { description: offer, ice: offererIce };
  answered.agreed = { description: answer, ice: answererIce };
  answered.offer = undefined;
  // Once it is settled who speaks, a phone that rang on the side changes nothing of those two.
  if (!session.isConfirmed || offerer.opposite === answerer) link(state, offerer, answerer);
  else {
    if (offerer.opposite === undefined) apply(state, offerer, offered.agreed);
    if (answerer.opposite === undefined) apply(state, answerer, answered.agreed);
  }
  session.mediaAt = now;
  trim(state, session);
}

function treatIce({ crypto }: RelayState, stream: LegStream, treatment: IceTreatment): void {
  stream.ice = treatment;
  const theirs = stream.description?.ice;
  if (treatment === "ends" && stream.lite !== undefined) stream.lite.of ??= theirs?.ufrag;
  stream.key = treatment === "passes" && theirs !== undefined ? keyOf(crypto, theirs.password) : undefined;
  if (treatment !== undefined) return;
  for (const component of [stream.media, stream.control]) component.nominated = undefined;
}

function apply(state: RelayState, leg: Leg, agreement: Agreement | undefined): void {
  if (agreement === undefined || agreement === leg.agreement) return;
  leg.agreement = agreement;
  const { description, ice } = agreement;
  for (const [index, stream] of description.streams.entries()) {
    describeStream(state, leg.stream(index), stream);
    treatIce(state, leg.stream(index), ice[index]);
  }
}

function describeStream(state: RelayState, stream: LegStream, description: StreamDescription): void {
  stream.description = description;
  // RFC 8839 §4.2.1: with ICE that is no hold, but no default candidate yet.
  stream.isUnplaced = description.isUnplaced && description.ice === undefined;
  stream.clockRate = description.codecs[0]?.clockRate ?? 8000;
  // Held at 0.0.0.0 the party is still where it was.
  if (!description.isUnplaced) {
    const isKept = stream.ice !== undefined && description.ice !== undefined;
    stream.media.place = moved(stream.media, description.media, isKept);
    stream.control.place = moved(stream.control, description.control, isKept);
  }
  for (const component of [stream.media, stream.control]) review(state, component, !isCarried(description));
}

/** A party that wants its media elsewhere is to be learned anew, but where its checks say where it is. */
function moved(component: Component, place: Place | undefined, isKept: boolean): Place | undefined {
  const isSame = component.place?.host === place?.host && component.place?.port === place?.port;
  if (!isSame && !isKept) component.endpoint = undefined;
  return place;
}

/** After a new description, or on a new flow: what was learned stays while it can be the party's, and may be replaced. */
export function review(state: RelayState, component: Component, isOver = false): void {
  const { party } = component.stream.leg;
  const own = state.ownAddresses;
  unsettle(component);
  component.source = isOver ? undefined : sourceOf(component.place, party, own);
  component.signaled = isOver ? undefined : signaledOf(component.place, party, own);
  component.hop = isOver ? undefined : hopOf(state, component);
  component.contenders = undefined;
  const { endpoint } = component;
  if (endpoint !== undefined) {
    const isProven = component.stream.ice !== undefined || isPartys(endpoint.address, component.source, party.ranges);
    if (isOver || !isProven) component.endpoint = undefined;
    else endpoint.isQuestioned = true;
  }
  reroute(component);
}

/** Another call's, where a trunk has sent ours back to us with our own address in it. */
function hopOf(state: RelayState, { place, stream }: Component): Component | undefined {
  const there = place?.address === undefined ? undefined : state.ports.findAt(place.address)?.component;
  return there?.stream.leg.session === stream.leg.session ? undefined : there;
}

/** The party's signaling comes from elsewhere now. */
export function flowChanged(state: RelayState, leg: Leg, party: LegParty): void {
  leg.party = party;
  for (const { media, control, description } of leg.streams) {
    if (description === undefined || !isCarried(description)) continue;
    review(state, media);
    review(state, control);
  }
}

/** Either party may send by the numbers that either has named; RTCP shares RTP's port where both say so. */
function shareFormats(a: LegStream, b: LegStream): void {
  const isMultiplexed = a.description?.isMultiplexed === true && b.description?.isMultiplexed === true;
  for (const stream of [a, b]) {
    stream.isMultiplexed = isMultiplexed;
    stream.payloadTypes.fill(0);
    for (const format of [...(a.description?.formats ?? []), ...(b.description?.formats ?? [])]) {
      const type = parsePayloadType(format);
      if (type !== undefined)
        stream.payloadTypes[type >> 5] = (stream.payloadTypes[type >> 5] ?? 0) | (1 << (type & 31));
    }
  }
}

/** From now on the two hear each other, and nobody else, as they have agreed. */
export function link(state: RelayState, a: Leg, b: Leg): void {
  if (a.opposite !== b) unlink(a);
  if (b.opposite !== a) unlink(b);
  a.opposite = b;
  b.opposite = a;
  apply(state, a, a.said.get(b)?.agreed);
  apply(state, b, b.said.get(a)?.agreed);
  for (let index = 0; index < Math.max(a.streams.length, b.streams.length); index++) {
    const [one, other] = [a.stream(index), b.stream(index)];
    shareFormats(one, other);
    connect(one.media, other.media);
    connect(one.control, other.control);
    reflect(one, other);
    reflect(other, one);
  }
}

/** What an echo hears goes back to who said it, while the echo may send. RTCP is about packets that are not the echo's. */
function reflect({ leg, description }: LegStream, { media }: LegStream): void {
  if (leg.party.service === "echo" && description !== undefined && sends(description.direction)) media.opposite = media;
}

function connect(a: Component, b: Component): void {
  a.opposite = b;
  b.opposite = a;
}

export function unlink(leg: Leg): void {
  const { opposite } = leg;
  if (opposite === undefined) return;
  for (const one of [leg, opposite]) {
    one.opposite = undefined;
    for (const { media, control } of one.streams) {
      unsettle(media);
      media.opposite = undefined;
      control.opposite = undefined;
    }
  }
}

/** Gives back the sockets of streams that were offered to this party, and that it has not agreed to. */
export function closeUnagreed(state: RelayState, leg: Leg, offerer: Leg): void {
  const { offer, agreed } = offerer.saidTo(leg);
  for (const { index, description, media, control } of leg.streams) {
    if (description !== undefined && isCarried(description)) continue;
    const offered = offer === agreed?.description ? undefined : offer?.streams[index];
    if (offered !== undefined && isCarried(offered)) continue;
    closePort(state, media);
    closePort(state, control);
  }
}

/** Gives back the sockets that nobody needs, once no other phone can still want them. */
export function trim(state: RelayState, session: Session): void {
  if (session.legs.length > 2 && !session.isConfirmed) return;
  for (const leg of session.legs) {
    const { opposite } = leg;
    if (opposite === undefined) continue;
    for (const stream of leg.streams) {
      const other = opposite.stream(stream.index);
      if (stream.description === undefined || other.description === undefined) continue;
      const isIdle = !isCarried(stream.description) || !isCarried(other.description);
      if (isIdle) closePort(state, stream.media);
      if (isIdle || stream.isMultiplexed) closePort(state, stream.control);
    }
  }
}
