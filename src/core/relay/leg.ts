/** Calls, their parties, and the parties' streams. */
import type { Address, Family } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import type { HmacKey } from "../base/ports.ts";
import type { Prefix } from "../base/prefix.ts";
import type { RelayPlace } from "../base/relay-places.ts";
import type { CallDescription, Carrier, StreamDescription } from "../call/description.ts";
import { SequenceMeter } from "../rtp/sequence.ts";
import { Component } from "./component.ts";
import type { PendingDescription } from "./describe.ts";
import { Hearing } from "./hearing.ts";
import type { IceTreatment, LiteEnd } from "./ice.ts";
import type { LegId, SessionId } from "./outputs.ts";
import type { SessionReport } from "./report.ts";

/** What signaling knows of a party. */
export interface LegParty {
  /** Ours, where its signaling came in: media is offered on the same address where that relays, else on one of its family. */
  readonly local: Readonly<Address>;
  /** Of the address to offer; undefined: that of `local`. */
  readonly family?: Family;
  /**
   * Where its signaling has proven to come from: its registered flow, never a proxy's in between. It stands in for the
   * address of its description where that is private, or a name.
   */
  readonly proven: Readonly<Address> | undefined;
  /** Of a trunk: where its media may come from, whatever it says. */
  readonly ranges: readonly Prefix[];
  /** A provider's: what ICE tells of a phone's network is none of its business. */
  readonly withoutIce?: boolean;
  /** No party but a service of ours, which has no sockets: it sends back what it hears, or takes it in. */
  readonly service?: "echo" | "sink";
}

export class LegStream {
  readonly leg: Leg;
  readonly index: number;
  readonly media: Component;
  readonly control: Component;
  /** What the party has said of it; undefined before an offer has been answered. */
  description: StreamDescription | undefined;
  /** RTCP has a socket of its own. */
  isPaired = false;
  /** Ports that others on the host held, of this stream's. */
  attempts = 0;
  /** The party wants nothing anywhere for now. */
  isUnplaced = false;
  isMultiplexed = false;
  /** What became of ICE in the last offer that the party got, and what both parties have agreed on. */
  offeredIce: IceTreatment;
  ice: IceTreatment;
  /** Where ICE ends here. */
  lite: LiteEnd | undefined;
  /** Where it passes: what seals the checks that the party is sent, and its responses. */
  key: HmacKey | undefined;
  /** A bit for each of the 128 payload types that either party has named. */
  readonly payloadTypes: Uint32Array = new Uint32Array(4);
  readonly meter: SequenceMeter = new SequenceMeter();
  /** What the party reports of what it is sent. */
  readonly hearing: Hearing = new Hearing();
  /** Of the party's last packet of RTP. */
  payloadType: number | undefined;
  /** Of the first codec, for the jitter. */
  clockRate = 8000;

  constructor(leg: Leg, index: number) {
    this.leg = leg;
    this.index = index;
    this.media = new Component(this, "media");
    this.control = new Component(this, "control");
  }

  get carrier(): Carrier {
    return this.description?.carrier ?? "datagrams";
  }
}

/** What a party has agreed on with one other, and what becomes of its streams' ICE. */
export interface Agreement {
  readonly description: CallDescription;
  readonly ice: readonly IceTreatment[];
}

/** What a party has said to one other: in a fork the caller has a dialog with each phone, and may say something else in each. */
interface Said {
  /** The last offer, answered or not: in a fork it may be answered again. */
  offer: CallDescription | undefined;
  /** The one before, which counts again if the last is refused. */
  before: CallDescription | undefined;
  agreed: Agreement | undefined;
}

export class Leg {
  readonly id: LegId;
  readonly session: Session;
  party: LegParty;
  readonly place: RelayPlace | undefined;
  readonly streams: LegStream[] = [];
  readonly said: Map<Leg, Said> = new Map();
  /** What its streams are described by. */
  agreement: Agreement | undefined;
  /** Whose media it hears. */
  opposite: Leg | undefined;

  constructor(id: LegId, session: Session, party: LegParty, place: RelayPlace | undefined) {
    this.id = id;
    this.session = session;
    this.party = party;
    this.place = place;
  }

  saidTo(other: Leg): Said {
    const known = this.said.get(other);
    if (known !== undefined) return known;
    const said: Said = { offer: undefined, before: undefined, agreed: undefined };
    this.said.set(other, said);
    return said;
  }

  /** The last, answered or not. */
  offerTo(other: Leg): CallDescription | undefined {
    return this.said.get(other)?.offer;
  }

  stream(index: number): LegStream {
    while (this.streams.length <= index) this.streams.push(new LegStream(this, this.streams.length));
    return this.streams[index] as LegStream;
  }
}

export class Session {
  readonly id: SessionId;
  readonly owner: string;
  readonly legs: Leg[] = [];
  /** Descriptions that wait for sockets. */
  readonly pending: PendingDescription[] = [];
  /** Sockets that it holds. */
  ports = 0;
  /** Which two of its parties speak is settled. */
  isConfirmed = false;
  mediaAt: Instant;
  /** What it was, once it is over. */
  record: SessionReport | undefined;
  deadline: Instant = 0 as Instant;
  heapIndex = -1;

  constructor(id: SessionId, owner: string, now: Instant) {
    this.id = id;
    this.owner = owner;
    this.mediaAt = now;
  }
}
