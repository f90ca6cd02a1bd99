/**
 * What the program in the kernel has to do with one frame, told once more, in other words: from fields instead of offsets,
 * and with checksums summed up anew instead of corrected.
 */
import type { OUTCOME } from "../../../../src/node/datapath/ebpf/program.ts";
import type { RtpSource } from "../../../core/rtp/rtp-source.ts";

export type Outcome = keyof typeof OUTCOME;

export interface ReferenceFlow {
  /** 4 or 16 bytes each. */
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
  readonly localPort: number;
  readonly remotePort: number;
  readonly channel: number;
  readonly mtu: number;
  /** Whether the bucket has room for a packet; undefined: there is none. */
  readonly admits?: boolean;
  /** Whether its end has come, and whether it is time that one of its packets goes up. */
  readonly isOver?: boolean;
  readonly isDue?: boolean;
  readonly rtp?: RtpSource;
}

export type FlowFinder = (
  local: Uint8Array,
  localPort: number,
  remote: Uint8Array,
  remotePort: number,
  channel: number,
) => ReferenceFlow | undefined;

export interface Verdict {
  /** Undefined: nobody's flow could look so. */
  readonly outcome: Outcome | undefined;
  readonly action: "up" | "drop" | "forward";
  /** The IP packet that leaves. */
  readonly packet?: Uint8Array;
  /** Its payload, without a channel's header. */
  readonly payload?: Uint8Array;
}

const notOurs: Verdict = { outcome: undefined, action: "up" };
const upBecause = (outcome: Outcome): Verdict => ({ outcome, action: "up" });

interface Datagram {
  readonly version: 4 | 6;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly trafficClass: number;
  readonly hops: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly checksum: number;
  readonly payload: Uint8Array;
}

const longestPayload = 1_536;

export function relayReference(frame: Uint8Array, find: FlowFinder, isLeased: boolean): Verdict {
  const datagram = parse(frame);
  if (datagram === undefined) return notOurs;
  const { payload } = datagram;
  const at = (channel: number) =>
    find(datagram.destination, datagram.destinationPort, datagram.source, datagram.sourcePort, channel);
  const isChannelData = payload.length >= 4 && payload[0]! >> 6 === 1;
  const number = isChannelData ? u16(payload, 0) : 0;
  const byChannel = isChannelData ? at(number) : undefined;
  const flow = byChannel ?? at(0);
  if (byChannel !== undefined && u16(payload, 2) !== payload.length - 4) return upBecause("unusual");
  if (flow === undefined) return upBecause("missed");
  if (!isLeased || flow.isOver === true) return upBecause("expired");
  const inner = byChannel === undefined ? payload : payload.subarray(4);
  if (inner.length > longestPayload) return upBecause("tooLong");
  const outer = flow.channel === 0 ? inner : Buffer.concat([header(flow.channel, inner.length), inner]);
  const version = flow.local.length === 4 ? 4 : 6;
  if (outer.length + 8 + (version === 4 ? 20 : 40) > flow.mtu) return upBecause("tooLong");
  if (version === 6 && datagram.checksum === 0) return upBecause("unusual");
  if (flow.rtp !== undefined && !flow.rtp.isMedia(inner)) return upBecause("notMedia");
  if (flow.isDue === true) return upBecause("passed");
  if (flow.admits === false) return { outcome: "policed", action: "drop" };
  return { outcome: "forwarded", action: "forward", packet: build(datagram, flow, outer), payload: inner };
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function header(channel: number, length: number): Uint8Array {
  return Uint8Array.of(channel >> 8, channel & 255, length >> 8, length & 255);
}

function parse(frame: Uint8Array): Datagram | undefined {
  // A frame for another host, by its destination.
  if (frame.length < 14 || frame.subarray(0, 6).some((byte) => byte !== 0)) return undefined;
  const packet = frame.subarray(14);
  const type = u16(frame, 12);
  if (type === 0x0800) return parse4(packet);
  return type === 0x86dd ? parse6(packet) : undefined;
}

function parse4(packet: Uint8Array): Datagram | undefined {
  if (packet.length < 28 || packet[0] !== 0x45 || packet[9] !== 17) return undefined;
  const flags = u16(packet, 6);
  const isFragment = (flags & 0x2000) !== 0 || (flags & 0x1fff) !== 0;
  const isReserved = (flags & 0x8000) !== 0;
  if (isFragment || isReserved || u16(packet, 2) !== packet.length || packet[8]! < 2) return undefined;
  if (sum(packet.subarray(0, 20)) !== 0xffff) return undefined;
  return parseUdp(packet.subarray(20), {
    version: 4,
    source: packet.subarray(12, 16),
    destination: packet.subarray(16, 20),
    trafficClass: packet[1]!,
    hops: packet[8]!,
    id: u16(packet, 4),
    dontFragment: (flags & 0x4000) !== 0,
  });
}

function parse6(packet: Uint8Array): Datagram | undefined {
  if (packet.length < 48 || packet[0]! >> 4 !== 6 || packet[6] !== 17) return undefined;
  if (u16(packet, 4) !== packet.length - 40 || packet[7]! < 2) return undefined;
  const datagram = parseUdp(packet.subarray(40), {
    version: 6,
    source: packet.subarray(8, 24),
    destination: packet.subarray(24, 40),
    trafficClass: (u16(packet, 0) >> 4) & 255,
    hops: packet[7]!,
    id: 0,
    dontFragment: true,
  });
  return datagram?.checksum === 0 ? undefined : datagram;
}

type IpFields = Pick<Datagram, "version" | "source" | "destination" | "trafficClass" | "hops" | "id" | "dontFragment">;

function parseUdp(udp: Uint8Array, ip: IpFields): Datagram | undefined {
  if (u16(udp, 4) !== udp.length) return undefined;
  const [sourcePort, destinationPort, checksum] = [u16(udp, 0), u16(udp, 2), u16(udp, 6)];
  return { ...ip, sourcePort, destinationPort, checksum, payload: udp.subarray(8) };
}

/** RFC 1071: the sum of 16-bit words, in ones' complement. */
export function sum(...parts: readonly Uint8Array[]): number {
  let total = 0;
  for (const part of parts) for (const [i, byte] of part.entries()) total += i % 2 === 0 ? byte << 8 : byte;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** The checksum of a UDP datagram whose own is 0. */
export function udpChecksum(source: Uint8Array, destination: Uint8Array, udp: Uint8Array): number {
  const pseudo = Uint8Array.of(0, 17, udp.length >> 8, udp.length & 255);
  const made = 0xffff ^ sum(source, destination, pseudo, udp);
  return made === 0 ? 0xffff : made;
}

/**
 * A sum that was wrong stays wrong by as much: what was broken on its way in must not be made good. So the new one is
 * the right one, less by what the old one was off.
 */
function carriedChecksum(from: Datagram, flow: ReferenceFlow, udp: Uint8Array): number {
  const was = Buffer.concat([udpHeader(from.sourcePort, from.destinationPort, from.payload.length), from.payload]);
  const right = udpChecksum(from.source, from.destination, was);
  const isRight = from.checksum === right;
  const now = udpChecksum(flow.local, flow.remote, udp);
  if (isRight) return now;
  let off = from.checksum + (0xffff ^ right) + now;
  while (off > 0xffff) off = (off & 0xffff) + (off >>> 16);
  return off === 0 ? 0xffff : off;
}

function udpHeader(source: number, destination: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16BE(source, 0);
  bytes.writeUInt16BE(destination, 2);
  bytes.writeUInt16BE(8 + length, 4);
  return bytes;
}

function build(from: Datagram, flow: ReferenceFlow, payload: Uint8Array): Uint8Array {
  const udp = Buffer.concat([udpHeader(flow.localPort, flow.remotePort, payload.length), payload]);
  if (from.checksum !== 0) udp.writeUInt16BE(carriedChecksum(from, flow, udp), 6);
  if (flow.local.length === 16) {
    const ip = Buffer.alloc(40);
    ip.writeUInt32BE((0x60000000 | (from.trafficClass << 20)) >>> 0, 0);
    ip.writeUInt16BE(udp.length, 4);
    ip.set([17, from.hops - 1, ...flow.local, ...flow.remote], 6);
    return Buffer.concat([ip, udp]);
  }
  const ip = Buffer.alloc(20);
  ip.set([0x45, from.trafficClass]);
  ip.writeUInt16BE(20 + udp.length, 2);
  ip.writeUInt16BE(from.id, 4);
  ip.writeUInt16BE(from.dontFragment ? 0x4000 : 0, 6);
  ip.set([from.hops - 1, 17, 0, 0, ...flow.local, ...flow.remote], 8);
  ip.writeUInt16BE(0xffff ^ sum(ip), 10);
  return Buffer.concat([ip, udp]);
}
