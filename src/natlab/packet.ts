/** A UDP datagram or a TCP segment on its way, as a plain value: nothing changes one, a hop makes another. */
import type { Address } from "../core/base/address.ts";
import { type Segment, segmentHeaderLength } from "./tcp/segment.ts";

export type Protocol = "udp" | "tcp";

interface IpPacket {
  readonly source: Readonly<Address>;
  readonly destination: Readonly<Address>;
  /** Belongs to the packet. */
  readonly payload: Uint8Array;
  readonly hopLimit: number;
  /** IPv6, or IPv4 with DF: no router cuts it. */
  readonly dontFragment: boolean;
  /** Bytes of its largest piece, IP header included; fewer than `ipLength` once it travels in fragments. */
  readonly piece: number;
}

export interface UdpPacket extends IpPacket {
  readonly protocol: "udp";
  readonly segment: undefined;
}

export interface TcpPacket extends IpPacket {
  readonly protocol: "tcp";
  /** Its TCP header. */
  readonly segment: Segment;
}

export type Packet = UdpPacket | TcpPacket;

const UDP_HEADER = 8;

export function ipHeaderLength(packet: Packet): number {
  return packet.destination.family === 6 ? 40 : 20;
}

/** Bytes of the whole packet, headers included. */
export function ipLength(packet: Packet): number {
  const header = packet.segment === undefined ? UDP_HEADER : segmentHeaderLength(packet.segment);
  return ipHeaderLength(packet) + header + packet.payload.length;
}

export function isFragmented(packet: Packet): boolean {
  return packet.piece < ipLength(packet);
}

/** The same packet with other bytes in it. */
export function withPayload(packet: Packet, payload: Uint8Array): Packet {
  const longer = payload.length - packet.payload.length;
  return { ...packet, payload, piece: isFragmented(packet) ? packet.piece : packet.piece + longer };
}

/** In how many pieces it travels. */
export function pieces(packet: Packet): number {
  const header = ipHeaderLength(packet);
  return isFragmented(packet) ? Math.ceil((ipLength(packet) - header) / (packet.piece - header)) : 1;
}
