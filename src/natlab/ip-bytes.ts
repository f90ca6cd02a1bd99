/** A packet as the bytes that would be on the wire: IP and UDP headers, checksums included. */
import type { Address } from "../core/base/address.ts";
import { readU16, writeU16, writeU32 } from "../core/base/bytes.ts";
import { ipHeaderLength, ipLength, type Packet } from "./packet.ts";

const UDP = 17;
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
  out[9] = UDP;
  writeIp(out, 12, packet.source);
  writeIp(out, 16, packet.destination);
  writeU16(out, 10, checksum(sum(out, 0, 20)));
}

function writeIpv6(out: Uint8Array, packet: Packet): void {
  out[0] = 0x60;
  writeU16(out, 4, out.length - 40);
  out[6] = UDP;
  out[7] = packet.hopLimit;
  writeIp(out, 8, packet.source);
  writeIp(out, 24, packet.destination);
}

/** The whole datagram, also of one that travels in fragments. */
export function encodeIp(packet: Packet): Uint8Array {
  const out = new Uint8Array(ipLength(packet));
  const udp = ipHeaderLength(packet);
  const addressesAt = packet.destination.family === 4 ? 12 : 8;
  if (packet.destination.family === 4) writeIpv4(out, packet);
  else writeIpv6(out, packet);
  writeU16(out, udp, packet.source.port);
  writeU16(out, udp + 2, packet.destination.port);
  writeU16(out, udp + 4, out.length - udp);
  out.set(packet.payload, udp + 8);
  // RFC 768, RFC 8200 §8.1: over a pseudo-header of addresses, length and protocol; zero is sent as all ones.
  const total = sum(out, addressesAt, udp) + (out.length - udp) + UDP + sum(out, udp, out.length);
  writeU16(out, udp + 6, checksum(total) || 0xffff);
  return out;
}
