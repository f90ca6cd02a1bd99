/** What is known of a call: whom it is between, where their media is, and what became of it. */
import { type Address, copyAddress } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import { isHeld } from "../call/description.ts";
import type { Component } from "./component.ts";
import type { HearingReport } from "./hearing.ts";
import type { IceTreatment } from "./ice.ts";
import type { Leg, LegStream, Session } from "./leg.ts";
import type { LegId, RelayDrops, SessionId } from "./outputs.ts";

export interface ComponentReport {
  /** Ours, as the party is told. */
  readonly local: Readonly<Address> | undefined;
  /** Where its packets go; undefined: it cannot be reached. */
  readonly remote: Readonly<Address> | undefined;
  /** `learned` from its packets, `signaled`: believed from its description. */
  readonly by: "learned" | "signaled" | undefined;
  /** When it was last heard from where it was learned. */
  readonly heardAt: Instant | undefined;
  /** From the party. */
  readonly packetsIn: number;
  readonly bytesIn: number;
  /** Toward it, since it is where it is. */
  readonly packetsOut: number;
  readonly bytesOut: number;
  readonly drops: Readonly<RelayDrops>;
  /** The latest address that was not the party's. */
  readonly stranger: Readonly<Address> | undefined;
}

export interface StreamReport {
  readonly kind: string;
  readonly isRefused: boolean;
  readonly isHeld: boolean;
  /** What became of the party's ICE; where it `passes` the parties may have found a way without us. */
  readonly ice: IceTreatment;
  /** Of the party's packets, as they came to us. */
  readonly lost: number;
  /** Milliseconds. */
  readonly jitter: number;
  /** Of its last packet. */
  readonly payloadType: number | undefined;
  /** What the party reports of what it is sent; undefined: nothing, or unreadably. */
  readonly hearing: HearingReport | undefined;
  readonly media: ComponentReport;
  /** Undefined where RTCP shares the port of RTP. */
  readonly control: ComponentReport | undefined;
}

export interface LegReport {
  readonly leg: LegId;
  /** Whose media it hears. */
  readonly hears: LegId | undefined;
  /** It is no phone: what is said to it is echoed, or ends here. */
  readonly isService: boolean;
  readonly streams: readonly StreamReport[];
}

export interface SessionReport {
  readonly session: SessionId;
  readonly owner: string;
  readonly isConfirmed: boolean;
  /** When a packet was last carried, or what was agreed on last changed. */
  readonly mediaAt: Instant;
  readonly legs: readonly LegReport[];
}

export function reportOf({ id, owner, isConfirmed, mediaAt, legs }: Session): SessionReport {
  return { session: id, owner, isConfirmed, mediaAt, legs: legs.map(legReport) };
}

function legReport({ id, opposite, party, streams }: Leg): LegReport {
  return { leg: id, hears: opposite?.id, isService: party.service !== undefined, streams: streams.map(streamReport) };
}

function streamReport(stream: LegStream): StreamReport {
  const { description, meter, media, control, isMultiplexed, ice, hearing, payloadType } = stream;
  return {
    kind: description?.kind ?? "",
    isRefused: description?.isRefused ?? false,
    isHeld: description !== undefined && isHeld(description),
    ice,
    lost: meter.lost,
    jitter: meter.jitter,
    payloadType,
    hearing: hearing.report,
    media: componentReport(media),
    control: isMultiplexed || control.port === undefined ? undefined : componentReport(control),
  };
}

function componentReport(component: Component): ComponentReport {
  const { port, route, endpoint, hop, packets, bytes, drops, stranger } = component;
  const by = route === undefined || route.remote !== endpoint?.address ? "signaled" : "learned";
  return {
    local: port?.advertised,
    remote: hop?.port?.advertised ?? route?.remote,
    heardAt: endpoint?.heardAt,
    by: hop === undefined && route === undefined ? undefined : by,
    packetsIn: packets,
    bytesIn: bytes,
    packetsOut: route?.packets ?? 0,
    bytesOut: route?.bytes ?? 0,
    drops: { ...drops },
    stranger: stranger.port === 0 ? undefined : copyAddress(stranger),
  };
}

type Open<T> = { -readonly [Key in keyof T]: T[Key] };

/** Brings the report of a call that is over up to date: `more` is what `from` has sent and `to` got, told of only now. */
export function amend(
  report: Open<SessionReport>,
  from: Component,
  to: Component,
  more: { readonly packets: number; readonly bytes: number },
): void {
  const reported = ({ stream }: Component): Open<StreamReport> | undefined =>
    report.legs.find(({ leg }) => leg === stream.leg.id)?.streams[stream.index];
  report.mediaAt = from.stream.leg.session.mediaAt;
  const [sent, heard] = [reported(from), reported(to)];
  if (sent !== undefined) {
    const { meter, payloadType } = from.stream;
    const { packets, bytes, endpoint } = from;
    Object.assign(sent, { lost: meter.lost, jitter: meter.jitter, payloadType });
    sent.media = { ...sent.media, packetsIn: packets, bytesIn: bytes, heardAt: endpoint?.heardAt };
  }
  if (heard === undefined) return;
  const { packetsOut, bytesOut } = heard.media;
  heard.media = { ...heard.media, packetsOut: packetsOut + more.packets, bytesOut: bytesOut + more.bytes };
}
