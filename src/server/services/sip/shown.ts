/** What is told of phones and calls over HTTP: plain values, times as ISO 8601 in UTC, addresses as text. */
import { type Address, formatAddress } from "../../../core/base/address.ts";
import type { Instant } from "../../../core/base/machine.ts";
import type { CallParty, CallReport, CallState, CallTrouble } from "../../../core/edge/call.ts";
import type { EdgeRefusal } from "../../../core/edge/outputs.ts";
import type { RefusalReport } from "../../../core/edge/refusals.ts";
import type { HearingReport } from "../../../core/relay/hearing.ts";
import type { RelayDrop } from "../../../core/relay/outputs.ts";
import type { ComponentReport, LegReport, StreamReport } from "../../../core/relay/report.ts";
import type { SipTransport } from "../../../core/sip/flow.ts";
import { userOfRecord } from "../../../core/sip/registrar/address-of-record.ts";
import type { Binding, BindingState } from "../../../core/sip/registrar/binding.ts";

export interface ShownRegistration {
  readonly user: string;
  /** As it names itself. */
  readonly contact: string;
  readonly transport: SipTransport;
  /** Where it really is. */
  readonly remote: string;
  /** The proxy that its registration came through, as that names itself; null: straight from the phone. */
  readonly through: string | null;
  readonly userAgent: string | null;
  readonly registered: string;
  readonly expires: string;
  readonly state: BindingState;
  /** Of our OPTIONS, in a row. */
  readonly unanswered: number;
  /** When it last answered one. */
  readonly answered: string | null;
}

export interface ShownRefusal {
  readonly why: EdgeRefusal;
  /** The user or the trunk, as far as that is known; of a wrong password, whom it was shown for. */
  readonly name: string | null;
  readonly transport: SipTransport;
  readonly remote: string;
  readonly count: number;
  readonly last: string;
}

export interface ShownParty {
  readonly name: string;
  readonly transport: SipTransport;
  /** Of its signaling. */
  readonly remote: string;
}

export interface ShownMedia {
  /** Ours, as the party is told. */
  readonly local: string | null;
  /** Where it gets its packets; null: nobody knows where it is. */
  readonly remote: string | null;
  /** How that is known: from its packets, or only from what it says. */
  readonly by: "learned" | "signaled" | null;
  readonly heard: string | null;
  readonly packetsIn: number;
  readonly bytesIn: number;
  readonly packetsOut: number;
  readonly bytesOut: number;
  /** Packets that were dropped, by why. */
  readonly drops: Readonly<Partial<Record<RelayDrop, number>>>;
  /** The latest address that was not the party's. */
  readonly stranger: string | null;
}

/** What a party's RTCP says of what it is sent. */
export interface ShownHearing {
  /** When it last reported that it hears; null: it never did. */
  readonly heard: string | null;
  /** 0 to 1, between its last two reports of it. */
  readonly fractionLost: number;
  /** Since the beginning; below 0 where packets came twice. */
  readonly lost: number;
  readonly jitterMs: number;
  /** In a row up to now, that tell of no packet though it was sent some for 10 s. */
  readonly deafReports: number;
}

export interface ShownStream extends ShownMedia {
  /** The party that sends what comes in here. */
  readonly party: "caller" | "callee" | "other";
  readonly kind: string;
  readonly isHeld: boolean;
  readonly isRefused: boolean;
  /** Of the party's packets, on their way to us. */
  readonly lost: number;
  readonly jitterMs: number;
  /** Of its last packet; null: none of RTP has come. */
  readonly payloadType: number | null;
  /** Null: it sends no reports, or they are encrypted. */
  readonly hearing: ShownHearing | null;
  /** Whether the party speaks ICE with the other, which may find a way without us, or with the relay. */
  readonly ice: "passes" | "ends" | null;
  /** RTCP, where it has a port of its own. */
  readonly control: ShownMedia | null;
}

export interface ShownTrouble {
  readonly what: CallTrouble;
  /** Whose it is, where it is one side's. */
  readonly name: string | null;
  readonly at: string;
  readonly isOver: boolean;
}

export interface ShownCall {
  readonly number: number;
  readonly callId: string;
  readonly state: CallState;
  readonly caller: ShownParty;
  readonly called: string;
  /** Who has answered, where that is a phone. */
  readonly callee: ShownParty | null;
  readonly started: string;
  readonly answered: string | null;
  readonly ended: string | null;
  /** Why it is over. */
  readonly end: string | null;
  /** It began before a restart, or was given up, and is known again since then. */
  readonly isResumed: boolean;
  readonly troubles: readonly ShownTrouble[];
  /** Why its media does not go through the relay; null: it does. */
  readonly direct: CallReport["direct"] | null;
  /** The site that both sides are of, where that is why. */
  readonly site: string | null;
  readonly streams: readonly ShownStream[];
}

/** Turns instants into times of day. */
export class Clock {
  readonly #offset: number;

  /** `now`, at `wall` milliseconds since 1970. */
  constructor(now: Instant, wall: number) {
    this.#offset = wall - now;
  }

  iso(at: Instant): string {
    return new Date(this.#offset + at).toISOString();
  }

  isoOrNull(at: Instant | undefined): string | null {
    return at === undefined ? null : this.iso(at);
  }
}

export function shownRegistration(binding: Binding, clock: Clock): ShownRegistration {
  const { aor, contact, flow, through, userAgent, registeredAt, expiresAt, state, unanswered, answeredAt } = binding;
  return {
    user: userOfRecord(aor),
    contact,
    transport: flow.transport,
    remote: formatAddress(flow.remote),
    through: through ?? null,
    userAgent: userAgent ?? null,
    registered: new Date(registeredAt * 1000).toISOString(),
    expires: new Date(expiresAt * 1000).toISOString(),
    state,
    unanswered,
    answered: clock.isoOrNull(answeredAt),
  };
}

export function shownRefusal(
  { why, name, transport, remote, count, lastAt }: RefusalReport,
  clock: Clock,
): ShownRefusal {
  return { why, name: name ?? null, transport, remote: formatAddress(remote), count, last: clock.iso(lastAt) };
}

export function shownCall(call: CallReport, clock: Clock): ShownCall {
  const {
    number,
    callId,
    state,
    caller,
    called,
    callee,
    startedAt,
    answeredAt,
    endedAt,
    end,
    isResumed,
    direct,
    site,
  } = call;
  const legs = call.media?.legs ?? [];
  const phones = legs.filter(({ isService }) => !isService);
  const isPhone = callee !== undefined && !legs.some(({ leg, isService }) => isService && leg === callee.leg);
  return {
    ...{ number, callId, state, called },
    caller: shownParty(caller),
    callee: isPhone ? shownParty(callee) : null,
    started: clock.iso(startedAt),
    answered: clock.isoOrNull(answeredAt),
    ended: clock.isoOrNull(endedAt),
    end: end ?? null,
    isResumed,
    troubles: call.troubles.map(({ what, name, at, isOver }) => ({
      what,
      name: name ?? null,
      at: clock.iso(at),
      isOver,
    })),
    direct: direct ?? null,
    site: site ?? null,
    // A side that has not said yet what it would like to send has no kind.
    streams: phones.flatMap((leg) =>
      leg.streams.filter(({ kind }) => kind !== "").map((stream) => shownStream(stream, partyOf(leg, call), clock)),
    ),
  };
}

function shownParty({ name, flow }: CallParty): ShownParty {
  return { name, transport: flow.transport, remote: formatAddress(flow.remote) };
}

function partyOf({ leg }: LegReport, { caller, callee }: CallReport): ShownStream["party"] {
  if (leg === caller.leg) return "caller";
  return leg === callee?.leg ? "callee" : "other";
}

function shownStream(stream: StreamReport, party: ShownStream["party"], clock: Clock): ShownStream {
  const { kind, isHeld, isRefused, ice, lost, jitter, payloadType, hearing, media, control } = stream;
  return {
    ...{ party, kind, isHeld, isRefused, lost },
    jitterMs: rounded(jitter, 10),
    payloadType: payloadType ?? null,
    hearing: hearing === undefined ? null : shownHearing(hearing, clock),
    ice: ice ?? null,
    ...shownMedia(media, clock),
    control: control === undefined ? null : shownMedia(control, clock),
  };
}

function shownHearing({ heardAt, fractionLost, lost, jitter, deafReports }: HearingReport, clock: Clock): ShownHearing {
  return {
    heard: clock.isoOrNull(heardAt),
    fractionLost: rounded(fractionLost, 1000),
    lost,
    jitterMs: rounded(jitter, 10),
    deafReports,
  };
}

function rounded(value: number, steps: number): number {
  return Math.round(value * steps) / steps;
}

function shownMedia(report: ComponentReport, clock: Clock): ShownMedia {
  const { local, remote, by, heardAt, packetsIn, bytesIn, packetsOut, bytesOut, drops, stranger } = report;
  return {
    local: textOf(local),
    remote: textOf(remote),
    by: by ?? null,
    heard: clock.isoOrNull(heardAt),
    ...{ packetsIn, bytesIn, packetsOut, bytesOut },
    drops: Object.fromEntries(Object.entries(drops).filter(([, count]) => count > 0)),
    stranger: textOf(stranger),
  };
}

function textOf(address: Readonly<Address> | undefined): string | null {
  return address === undefined ? null : formatAddress(address);
}
