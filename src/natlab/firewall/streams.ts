/**
 * TCP connections as a box between them reads them: the bytes of each direction in order, each once, however segments
 * overtake and repeat each other. What has come out of order has passed already when the gap before it is filled; a box
 * that would not have that so can only stop what follows.
 */
import type { Address } from "../../core/base/address.ts";
import { AddressMap } from "../address-map.ts";
import type { TcpPacket } from "../packet.ts";
import { Reassembly } from "../tcp/reassembly.ts";
import { advance, Flag, has, isOpening } from "../tcp/segment.ts";
import { type Direction, type Firewall, remoteOf } from "./firewall.ts";

/** A reader of one direction of a connection; false once it has seen enough to stop it. */
export type Reader = (bytes: Uint8Array) => boolean;

interface Stream {
  readonly start: number;
  readonly bytes: Reassembly;
}

interface Flow {
  readonly outbound: Reader;
  readonly inbound: Reader;
  readonly streams: { outbound?: Stream; inbound?: Stream };
  isStopped: boolean;
}

export class Streams {
  readonly #reader: () => Reader;
  readonly #flows: AddressMap<AddressMap<Flow>> = new AddressMap();

  /** `reader` makes one for each direction of each connection. */
  constructor(reader: () => Reader) {
    this.#reader = reader;
  }

  /** Reads what is new in `packet`; false if its connection is to be stopped, or has been. */
  pass(packet: TcpPacket, direction: Direction): boolean {
    const { segment, payload } = packet;
    const flow = this.#flow(packet, direction);
    const start = has(segment, Flag.Syn) ? advance(segment.sequence, 1) : segment.sequence;
    // A connection that was there before the box is read from where it is.
    const stream = (flow.streams[direction] ??= { start, bytes: new Reassembly(start) });
    for (const bytes of stream.bytes.push(start, payload)) if (!flow[direction](bytes)) flow.isStopped = true;
    return !flow.isStopped;
  }

  clear(): void {
    this.#flows.clear();
  }

  #flow(packet: TcpPacket, direction: Direction): Flow {
    const remote = remoteOf(packet, direction);
    const local = direction === "outbound" ? packet.source : packet.destination;
    const ofLocal = this.#ofLocal(local);
    const known = ofLocal.find(remote);
    // A SYN begins anew, unless it is the second of a simultaneous open or was repeated.
    const isKnown = known !== undefined && (!isOpening(packet.segment) || !isRenewed(known, packet, direction));
    if (isKnown) return known;
    const flow: Flow = { outbound: this.#reader(), inbound: this.#reader(), streams: {}, isStopped: false };
    ofLocal.set(remote, flow);
    return flow;
  }

  #ofLocal(local: Readonly<Address>): AddressMap<Flow> {
    const known = this.#flows.find(local) ?? new AddressMap<Flow>();
    this.#flows.set(local, known);
    return known;
  }
}

function isRenewed({ streams }: Flow, { segment }: TcpPacket, direction: Direction): boolean {
  const stream = streams[direction];
  return stream !== undefined && stream.start !== advance(segment.sequence, 1);
}

/** A firewall that stops what the readers of `streams` stop. UDP is not its business. */
export function ofStreams(streams: Streams): Firewall {
  return {
    judge: (packet, direction) => (packet.protocol === "udp" || streams.pass(packet, direction) ? "pass" : "drop"),
    reset: () => streams.clear(),
  };
}
