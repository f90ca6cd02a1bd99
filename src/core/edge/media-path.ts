/**
 * Descriptions of media on their way through: each is handed to the relay, which opens its ports and says what the other
 * side is told instead. A message whose ports are not open yet waits here.
 */
import type { Instant } from "../base/machine.ts";
import type { MediaRelay } from "../relay/media-relay.ts";
import type { DescriptionRefusal, LegId } from "../relay/outputs.ts";
import type { SdpDocument } from "../sdp/document.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipRequest } from "../sip/message/message.ts";
import type { Carriage } from "../sip/proxy/outputs.ts";
import type { Call, CallSide } from "./call.ts";
import type { Calls } from "./calls.ts";
import { type Destination, ICE_TAG } from "./routing.ts";
import { replaceSession, sessionOf } from "./session-body.ts";
import { contactPlaces, type MediaPlaces, mediaPlaces, type Site, sharedSite } from "./sites.ts";

/** A message on its way from one side of a call to the other. */
export interface Passage {
  readonly call: Call;
  readonly from: CallSide;
  readonly to: CallSide;
  readonly role: "offer" | "answer";
  /** What goes on when the description is ready: a message of the proxy's, or an ACK. */
  readonly onward: Carriage | { readonly kind: "ack"; readonly message: SipRequest; readonly to: SipFlow | SipTarget };
}

/** A passage at its end: undefined, it may go on; else what its sender is told. */
export interface Arrived {
  readonly passage: Passage;
  readonly refusal: number | undefined;
}

export class MediaPath {
  readonly #relay: MediaRelay;
  readonly #calls: Calls;
  readonly #sites: readonly Site[];
  readonly #waiting: Map<number, Passage> = new Map();
  #lastRequest = 0;

  constructor(relay: MediaRelay, calls: Calls, sites: readonly Site[]) {
    this.#relay = relay;
    this.#calls = calls;
    this.#sites = sites;
  }

  /** Undefined where the message waits for the relay's answer. */
  enter(passage: Passage, now: Instant): Arrived | undefined {
    const { message } = passage.onward;
    const document = sessionOf(message);
    if (document === undefined) return { passage, refusal: undefined };
    // RFC 3261 §21.4.26: a description that nobody can read cannot be relayed.
    if (typeof document === "string") return { passage, refusal: 488 };
    const { call, from, to, role } = passage;
    if (call.state === "ended") return { passage, refusal: undefined };
    if (this.#isLeftAlone(passage, document)) return { passage, refusal: undefined };
    const legs = this.#legs(call, from, to, now);
    if (legs === undefined) {
      this.#calls.trouble(call, "no-ports", now);
      return { passage, refusal: 503 };
    }
    const request = ++this.#lastRequest;
    this.#waiting.set(request, passage);
    const offersIce = role === "offer" && to.trunk === undefined && saysIce(passage);
    this.#relay.describe({ request, from: legs[0], to: legs[1], role, document, offersIce }, now);
    return undefined;
  }

  handleDescribed(request: number, document: SdpDocument, now: Instant): Arrived | undefined {
    const passage = this.#take(request);
    if (passage === undefined) return undefined;
    replaceSession(passage.onward.message, document);
    const { call, role } = passage;
    // A call that begins to be anchored when it is on its way already: one of its phones has left the site.
    if (role === "answer" && call.answeredAt !== undefined) this.#confirm(passage, now);
    return { passage, refusal: undefined };
  }

  handleUndescribed(request: number, why: DescriptionRefusal, now: Instant): Arrived | undefined {
    const passage = this.#take(request);
    if (passage === undefined) return undefined;
    // Who answers just when it is cancelled must still hear of it: the message goes on, and the call ends by it.
    if (why === "gone") return { passage, refusal: undefined };
    this.#calls.trouble(passage.call, "no-ports", now);
    return { passage, refusal: why === "too-many-streams" ? 488 : 503 };
  }

  /**
   * Within a site descriptions pass as they are. An offer decides: whoever answers it does so to whom it names. A call that
   * was anchored stays so.
   */
  #isLeftAlone({ call, from, to, role, onward }: Passage, document: SdpDocument): boolean {
    const callee = from === call.caller ? to : from;
    if (callee.leg !== undefined) return false;
    // Another phone has taken it, in a site: what this one still says comes to nothing.
    if (call.answeredBy?.site !== undefined && callee !== call.answeredBy) return true;
    const places = mediaPlaces(document);
    // Who wants nothing anywhere, to hold, is where it was.
    if (places?.length !== 0) from.places = places;
    if (role === "answer" || places?.length === 0) return callee.site !== undefined;
    to.places ??= placesIn(onward);
    callee.site = sharedSite(this.#sites, from, to);
    return callee.site !== undefined;
  }

  #take(request: number): Passage | undefined {
    const passage = this.#waiting.get(request);
    this.#waiting.delete(request);
    return passage;
  }

  #confirm({ call, from, to }: Passage, now: Instant): void {
    const callee = from === call.caller ? to : from;
    if (call.caller.leg !== undefined && callee.leg !== undefined) {
      this.#relay.confirm(call.caller.leg, callee.leg, now);
    }
  }

  #legs(call: Call, from: CallSide, to: CallSide, now: Instant): readonly [LegId, LegId] | undefined {
    if (call.session === undefined) {
      // A provider brings everybody's calls: each counts for whom it is.
      const owner = call.caller.trunk === undefined ? call.caller.name : call.called;
      const session = this.#relay.openSession(owner, now);
      if (typeof session === "string") return undefined;
      this.#calls.noteSession(call, session);
    }
    const [a, b] = [this.#leg(call, from), this.#leg(call, to)];
    return a === undefined || b === undefined ? undefined : [a, b];
  }

  #leg(call: Call, side: CallSide): LegId | undefined {
    if (side.leg !== undefined || call.session === undefined) return side.leg;
    const { flow, trunk, isProxied } = side;
    // A trunk's signaling proves nothing of its media: its ranges do. Nor does that of a proxy before the phone.
    const proven = trunk === undefined && isProxied !== true ? flow.remote : undefined;
    // As they are now: its name may stand for other servers before the call is over.
    const ranges = [...(trunk?.media ?? [])];
    const party = { local: flow.local, proven, ranges, withoutIce: trunk !== undefined };
    const leg = this.#relay.addLeg(call.session, party);
    if (leg === "legs") return undefined;
    side.leg = leg;
    return leg;
  }
}

/** Where the receiver of an offer says to be in its Contact. */
function placesIn(onward: Passage["onward"]): MediaPlaces {
  if (onward.kind === "ack") return undefined;
  const { branch } = onward;
  if (onward.kind === "request") return contactPlaces(branch.hop.uri);
  const { contacts } = branch.fork.server.request;
  const contact = contacts === "*" || contacts === MALFORMED ? undefined : contacts[0];
  return contact && contactPlaces(contact.uriText);
}

/**
 * Whether the receiver of an offer has said to speak ICE. Some phones that do speak nothing else, baresip among them; to
 * others its lines would be a larger datagram and no use.
 */
function saysIce({ onward }: Passage): boolean {
  if (onward.kind === "ack") return false;
  const { hop, fork } = onward.branch;
  if (onward.kind === "request") return (hop as Partial<Destination>).speaksIce === true;
  const { contacts } = fork.server.request;
  return contacts !== "*" && contacts !== MALFORMED && contacts[0]?.params.has(ICE_TAG) === true;
}
