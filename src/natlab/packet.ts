/** A UDP datagram on its way, as a plain value: nothing changes one, a hop makes another. */
import type { Address } from "../core/base/address.ts";

export interface Packet {
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

const UDP_HEADER = 8;

export function ipHeaderLength(packet: Packet): number {
  return packet.destination.family === 6 ? 40 : 20;
}

/** Bytes of the whole datagram, headers included. */
export function ipLength(packet: Packet): number {
  return ipHeaderLength(packet) + UDP_HEADER + packet.payload.length;
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
