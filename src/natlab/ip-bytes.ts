/** A packet as the bytes that would be on the wire: headers of IP, and of UDP or TCP, checksums included. */
import type { Address } from "../core/base/address.ts";
import { readU16, writeU16, writeU32 } from "../core/base/bytes.ts";
import { ipHeaderLength, ipLength, type Packet } from "./packet.ts";
import { type Segment, segmentHeaderLength } from "./tcp/segment.ts";

/** IANA's protocol numbers. */
const number = { tcp: 6, udp: 17 } as const;
const DONT_FRAGMENT = 0x4000;

/** The sum of 16-bit words that the checksums of RFC 1071 complement. */
function sum(bytes: Uint8Array, from: number, to: number): number {
  let total = 0;
  for (let at = from; at + 1 < to; at += 2) total += readU16(bytes, at);
  return (to - from) % 2 === 1 ? total + ((bytes[to - 1] as number) << 8) : total;
}

function checksum(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

function writeIp(out: Uint8Array, at: number, a: Readonly<Address>): void {
  if (a.family === 4) return writeU32(out, at, a.w3);
  for (const [n, word] of [a.w0, a.w1, a.w2, a.w3].entries()) writeU32(out, at + n * 4, word);
}

function writeIpv4(out: Uint8Array, packet: Packet): void {
  out[0] = 0x45;
  writeU16(out, 2, out.length);
  writeU16(out, 6, packet.dontFragment ? DONT_FRAGMENT : 0);
  out[8] = packet.hopLimit;
  out[9] = number[packet.protocol];
  writeIp(out, 12, packet.source);
  writeIp(out, 16, packet.destination);
  writeU16(out, 10, checksum(sum(out, 0, 20)));
}

function writeIpv6(out: Uint8Array, packet: Packet): void {
  out[0] = 0x60;
  writeU16(out, 4, out.length - 40);
  out[6] = number[packet.protocol];
  out[7] = packet.hopLimit;
  writeIp(out, 8, packet.source);
  writeIp(out, 24, packet.destination);
}

function writeUdp(out: Uint8Array, at: number): void {
  writeU16(out, at + 4, out.length - at);
}

/** RFC 9293 §3.1; a SYN has the option of §3.7.1. */
function writeTcp(out: Uint8Array, at: number, segment: Segment): void {
  writeU32(out, at + 4, segment.sequence);
  writeU32(out, at + 8, segment.acknowledgment);
  out[at + 12] = (segmentHeaderLength(segment) / 4) << 4;
  out[at + 13] = segment.flags;
  writeU16(out, at + 14, segment.window);
  if (segment.mss === undefined) return;
  out[at + 20] = 2;
  out[at + 21] = 4;
  writeU16(out, at + 22, segment.mss);
}

/** The whole packet, also of one that travels in fragments. */
export function encodeIp(packet: Packet): Uint8Array {
  const { segment, payload, protocol } = packet;
  const out = new Uint8Array(ipLength(packet));
  const at = ipHeaderLength(packet);
  const addressesAt = packet.destination.family === 4 ? 12 : 8;
  if (packet.destination.family === 4) writeIpv4(out, packet);
  else writeIpv6(out, packet);
  writeU16(out, at, packet.source.port);
  writeU16(out, at + 2, packet.destination.port);
  if (segment === undefined) writeUdp(out, at);
  else writeTcp(out, at, segment);
  out.set(payload, out.length - payload.length);
  // RFC 9293 §3.1, RFC 768, RFC 8200 §8.1: over a pseudo-header of addresses, length and protocol.
  const total = checksum(sum(out, addressesAt, at) + (out.length - at) + number[protocol] + sum(out, at, out.length));
  // RFC 768: with UDP zero says that there is none, and is sent as all ones.
  if (segment === undefined) writeU16(out, at + 6, total || 0xffff);
  else writeU16(out, at + 16, total);
  return out;
}
