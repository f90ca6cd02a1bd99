/**
 * Descriptions on their way from one party to another: first the sockets that the receiver is told of, then the document
 * that it gets. An offer waits for its answer before it changes anything.
 */
import { PosternError } from "../base/failure.ts";
import type { Instant } from "../base/machine.ts";
import type { CallDescription } from "../call/description.ts";
import { describeSdp } from "../call/sdp.ts";
import type { SdpDocument } from "../sdp/document.ts";
import { agreed } from "./agreement.ts";
import { isCarried } from "./carried.ts";
import { iceTreatments, prepareLite } from "./ice.ts";
import type { Leg, LegStream, Session } from "./leg.ts";
import type { DescriptionRefusal, LegId } from "./outputs.ts";
import { isOpen, openPorts } from "./port-pairs.ts";
import { rewritten } from "./rewrite.ts";
import type { RelayState } from "./state.ts";

/** A description that signaling has authenticated as the party's own. */
export interface DescriptionRequest {
  /** The caller's own number, given back with the result. */
  readonly request: number;
  readonly from: LegId;
  readonly to: LegId;
  readonly role: "offer" | "answer";
  readonly document: SdpDocument;
  /** Whether ICE is offered to a receiver of whom nothing is known, where the sender speaks none. */
  readonly offersIce?: boolean;
}

export interface PendingDescription {
  readonly request: number;
  readonly from: Leg;
  readonly to: Leg;
  readonly role: "offer" | "answer";
  readonly document: SdpDocument;
  readonly description: CallDescription;
  readonly offersIce: boolean;
}

export function describe(state: RelayState, asked: DescriptionRequest, now: Instant): void {
  const { request, role, document } = asked;
  const [from, to] = [state.legs.get(asked.from), state.legs.get(asked.to)];
  if (from === undefined || to === undefined) return refuse(state, request, "gone");
  if (from === to || from.session !== to.session) {
    throw new PosternError(
      "not-two-parties",
      "A description goes from one leg of a call to another leg of the same call.",
    );
  }
  const description = describeSdp(document);
  if (description.streams.length > state.config.quotas.streams) return refuse(state, request, "too-many-streams");
  if (to.place === undefined) return refuse(state, request, "no-address");
  const pending: PendingDescription = {
    request,
    from,
    to,
    role,
    document,
    description,
    offersIce: asked.offersIce ?? false,
  };
  for (const [index, stream] of description.streams.entries()) {
    if (!isCarried(stream) || to.party.service !== undefined) continue;
    const receiver = to.stream(index);
    const refusal = openPorts(state, receiver, stream.carrier === "rtp" && !isShared(pending, index));
    if (refusal !== undefined) return refuse(state, request, refusal);
  }
  from.session.pending.push(pending);
  settle(state, from.session, now);
}

/** RFC 5761 §5.1.1: once an answer takes what the offer proposed, one socket does for both, and in offers to come. */
function isShared({ from, to, role, description }: PendingDescription, index: number): boolean {
  if (description.streams[index]?.isMultiplexed !== true) return false;
  const offered = role === "answer" ? to.offerTo(from)?.streams[index]?.isMultiplexed : undefined;
  return offered ?? to.stream(index).isMultiplexed;
}

function refuse(state: RelayState, request: number, why: DescriptionRefusal): void {
  state.outputs.push({ kind: "undescribed", request, why });
}

/** Forwards what has all its sockets. */
export function settle(state: RelayState, session: Session, now: Instant): void {
  for (const pending of [...session.pending]) {
    if (!isReady(pending)) continue;
    session.pending.splice(session.pending.indexOf(pending), 1);
    forward(state, pending, now);
  }
}

function isReady({ to, description }: PendingDescription): boolean {
  if (to.party.service !== undefined) return true;
  return description.streams.every((stream, index) => !isCarried(stream) || isOpen(to.stream(index)));
}

function forward(state: RelayState, pending: PendingDescription, now: Instant): void {
  const { request, from, to, role, document, description, offersIce } = pending;
  if (to.place === undefined) return refuse(state, request, "no-address");
  const ice = iceTreatments(role, from, to, description, offersIce);
  prepareLite(state, role, from, to, ice);
  const forwarded = rewritten(document, description, to, to.place.address.advertised, ice);
  if (role === "answer") agreed(state, to, from, description, ice, now);
  else {
    const said = from.saidTo(to);
    said.before = said.offer;
    said.offer = description;
    for (const [index, treatment] of ice.entries()) to.stream(index).offeredIce = treatment;
  }
  state.outputs.push({ kind: "described", request, document: forwarded });
}

/** Refuses what needs a socket of the stream, which cannot be had. */
export function refuseFor(state: RelayState, stream: LegStream, why: DescriptionRefusal): void {
  const { leg, index } = stream;
  const { pending } = leg.session;
  for (const one of [...pending]) {
    const wanted = one.description.streams[index];
    if (one.to !== leg || wanted === undefined || !isCarried(wanted)) continue;
    pending.splice(pending.indexOf(one), 1);
    refuse(state, one.request, why);
  }
}

/** One of its parties has gone. */
export function refuseOf(state: RelayState, leg: Leg): void {
  const { pending } = leg.session;
  for (const one of [...pending]) {
    if (one.to !== leg && one.from !== leg) continue;
    pending.splice(pending.indexOf(one), 1);
    refuse(state, one.request, "gone");
  }
}
