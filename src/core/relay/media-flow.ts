/**
 * Media that a datapath may forward without asking: one source's RTP, from where a party has proven to be, to where the
 * other is. What the datapath tells of it is added to the call's figures as if each packet had been seen here.
 */
import type { Address } from "../base/address.ts";
import { after, type Instant } from "../base/machine.ts";
import type { Component, Endpoint } from "./component.ts";
import type { PortId, Route } from "./outputs.ts";
import { amend } from "./report.ts";
import type { RelayState } from "./state.ts";

/** What a packet must be to be forwarded, and what its source's numbers go on from. */
export interface MediaTraits {
  readonly ssrc: number;
  /** Of the timestamps, in hertz. */
  readonly clockRate: number;
  /** A bit for each of the 128 payload types that either party has named. */
  readonly payloadTypes: Readonly<Uint32Array>;
  /** The highest sequence number so far, extended by its cycles in 32 bits. */
  readonly highest: number;
  /** Milliseconds. */
  readonly jitter: number;
}

/** What a datapath has forwarded since it told so last. */
export interface ForwardedMedia {
  readonly packets: number;
  readonly bytes: number;
  /** When the last packet came. */
  readonly lastAt: Instant;
  readonly highest: number;
  readonly jitter: number;
  readonly payloadType: number;
}

/** What comes from here, from that endpoint, goes there by that route. */
export interface MediaWay {
  readonly from: Component;
  readonly port: PortId;
  readonly endpoint: Endpoint;
  readonly to: Component;
  readonly route: Route;
}

/** Longer than most calls, which need not end what nobody speaks in any more. */
const LASTS_MS = 3_600_000;

export class MediaFlow {
  readonly arrival: { readonly port: PortId; readonly remote: Readonly<Address> };
  readonly departure: Route;
  readonly since: Instant;
  /** Nobody has to take it back then: whatever comes is seen again, and another flow may follow. */
  readonly until: Instant;
  readonly #state: RelayState;
  readonly #from: Component;
  readonly #to: Component;
  readonly #endpoint: Endpoint;
  /** Of the meter. */
  readonly #source: number;
  readonly #ssrc: number;
  readonly #clockRate: number;
  readonly #payloadTypes: Readonly<Uint32Array>;

  constructor(state: RelayState, { from, to, port, endpoint, route }: MediaWay, now: Instant) {
    const { stream } = from;
    const { meter } = stream;
    this.#state = state;
    this.#from = from;
    this.#to = to;
    this.#endpoint = endpoint;
    this.#source = meter.source;
    this.arrival = { port, remote: endpoint.address };
    this.departure = route;
    this.#ssrc = meter.ssrc ?? 0;
    this.#clockRate = stream.clockRate;
    this.#payloadTypes = stream.payloadTypes.slice();
    this.since = now;
    this.until = after(now, LASTS_MS);
    from.flow = this;
    state.outputs.push({ kind: "offload", flow: this });
  }

  /** As of now: what the numbers go on from changes with every packet. */
  get traits(): MediaTraits {
    const { extendedHighest, jitter } = this.#from.stream.meter;
    const [ssrc, clockRate, payloadTypes] = [this.#ssrc, this.#clockRate, this.#payloadTypes];
    return { ssrc, clockRate, payloadTypes, highest: extendedHighest >>> 0, jitter };
  }

  get isOver(): boolean {
    return this.#from.flow !== this;
  }

  /** From now on every packet is seen here again. */
  end(): void {
    if (this.isOver) return;
    this.#from.flow = undefined;
    this.#state.outputs.push({ kind: "withdraw", flow: this });
  }

  handleForwarded({ packets, bytes, lastAt, highest, jitter, payloadType }: ForwardedMedia): void {
    const { stream } = this.#from;
    this.#from.packets += packets;
    this.#from.bytes += bytes;
    // It may have got another way while these were on theirs.
    const route = this.#to.route ?? this.departure;
    route.packets += packets;
    route.bytes += bytes;
    this.#state.stats.packets += packets;
    this.#state.stats.bytes += bytes;
    stream.meter.handleForwarded(this.#source, packets, highest, jitter);
    const { session } = stream.leg;
    if (lastAt > this.#endpoint.heardAt) {
      this.#endpoint.heardAt = lastAt;
      stream.payloadType = payloadType;
    }
    if (lastAt > session.mediaAt) session.mediaAt = lastAt;
    if (session.record !== undefined) amend(session.record, this.#from, this.#to, { packets, bytes });
  }
}
