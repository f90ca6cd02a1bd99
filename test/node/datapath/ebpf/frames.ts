/** Frames as they come, and as they should not: of a flow, and then with something about them changed. */
import type { Arrival } from "../../../../src/node/datapath/ebpf/records.ts";
import type { RtpSource } from "../../../core/rtp/rtp-source.ts";
import { sum, udpChecksum } from "./reference.ts";

/** Numbers that look random, and are the same ones every time (xorshift). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 to `below` - 1. */
  roll(below: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.roll(list.length)]!;
  }
}

export interface FrameFlow {
  readonly arrival: Arrival;
  readonly localIp: Uint8Array;
  readonly remoteIp: Uint8Array;
  readonly rtp?: RtpSource;
}

/** Of 1,280 bytes with all headers, of either family, with a channel and without. */
const borders = [1_228, 1_229, 1_232, 1_233, 1_248, 1_249, 1_252, 1_253];
const sizes = [0, 1, 2, 3, 4, 5, 11, 12, 13, 160, 172, 172, 172, 1_200, 1_400, 1_500, 1_536, 1_537, ...borders];

/** From the highest so far: in order, lost, late, and just within and beyond what goes on. */
const steps = [1, 1, 1, 1, 1, 1, 2, 7, 0, -1, -100, -101, 3_000, 3_001, 32_768];

function rtpPayload(dice: Dice, length: number, rtp: RtpSource): Buffer {
  const payload = noise(dice, Math.max(length, 12));
  payload[0] = dice.pick([0x80, 0x80, 0x80, 0x80, 0x90, 0x90, 0xb2, 0xb2, 0x00, 0x16, 0xc0]);
  const types = rtp.payloadTypeNumbers;
  payload[1] = dice.pick([...types, ...types, ...types, 0x80 | types[0]!, 72, 77, 200, 223, 224, 13]);
  payload.writeUInt16BE((rtp.highest + dice.pick(steps)) & 0xffff, 2);
  const extension = 12 + 4 * (payload[0]! & 15);
  if (payload.length >= extension + 4) payload.writeUInt16BE(dice.pick([0, 0, 1, 29, 300]), extension + 2);
  payload.writeUInt32BE(dice.pick([...Array<number>(9).fill(rtp.ssrc), (rtp.ssrc ^ 1) >>> 0]), 8);
  return payload.subarray(0, length);
}

function noise(dice: Dice, length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, () => dice.roll(256)));
}

function payloadOf(dice: Dice, { arrival, rtp }: FrameFlow): Buffer {
  const length = dice.pick(sizes);
  const payload = rtp === undefined ? noise(dice, length) : rtpPayload(dice, length, rtp);
  if (arrival.channel === 0) return payload;
  const header = Buffer.alloc(4);
  header.writeUInt16BE(dice.roll(20) === 0 ? arrival.channel ^ 1 : arrival.channel, 0);
  header.writeUInt16BE(dice.roll(20) === 0 ? (length + dice.pick([1, 65_535, 4])) & 65_535 : length, 2);
  // RFC 8656 §12.5: over UDP padding is allowed.
  const padding = dice.roll(10) === 0 ? Buffer.alloc((4 - (length % 4)) % 4) : Buffer.alloc(0);
  return Buffer.concat([header, payload, padding]);
}

function datagram(dice: Dice, flow: FrameFlow): Buffer {
  const { arrival, localIp, remoteIp } = flow;
  const payload = payloadOf(dice, flow);
  const udp = Buffer.concat([Buffer.alloc(8), payload]);
  udp.writeUInt16BE(dice.roll(30) === 0 ? 9 : arrival.remote.port, 0);
  udp.writeUInt16BE(dice.roll(30) === 0 ? 9 : arrival.local.port, 2);
  udp.writeUInt16BE(udp.length, 4);
  udp.writeUInt16BE(udpChecksum(remoteIp, localIp, udp), 6);
  if (dice.roll(12) === 0) udp.writeUInt16BE(0, 6);
  if (dice.roll(25) === 0) udp.writeUInt16BE(dice.roll(65_536), 6);
  if (dice.roll(25) === 0) udp.writeUInt16BE((udp.length + dice.pick([1, 65_535, 8, 65_528])) & 65_535, 4);
  return udp;
}

function packet4(dice: Dice, flow: FrameFlow): Buffer {
  const udp = datagram(dice, flow);
  const options = dice.roll(25) === 0 ? Buffer.from([1, 1, 1, 0]) : Buffer.alloc(0);
  const ip = Buffer.concat([Buffer.alloc(20), options]);
  ip.set([0x40 | (ip.length / 4), dice.roll(256)]);
  ip.writeUInt16BE(ip.length + udp.length, 2);
  ip.writeUInt16BE(dice.roll(65_536), 4);
  // DF mostly; then nothing, more fragments, an offset, and the reserved bit.
  ip.writeUInt16BE(dice.pick([0x4000, 0x4000, 0x4000, 0, 0, 0x2000, 1, 0x1fff, 0x8000]), 6);
  ip.set(
    [dice.pick([64, 64, 64, 255, 2, 1, 0]), dice.roll(25) === 0 ? 6 : 17, 0, 0, ...flow.remoteIp, ...flow.localIp],
    8,
  );
  if (dice.roll(40) === 0) ip[15] = 9;
  if (dice.roll(25) === 0) ip.writeUInt16BE((ip.readUInt16BE(2) + dice.pick([1, 65_535, 8, 65_500])) & 65_535, 2);
  ip.writeUInt16BE(0xffff ^ sum(ip), 10);
  if (dice.roll(25) === 0) ip[dice.pick([1, 4, 10, 11])]! ^= 1 << dice.roll(8);
  return Buffer.concat([ip, udp]);
}

function packet6(dice: Dice, flow: FrameFlow): Buffer {
  const udp = datagram(dice, flow);
  const ip = Buffer.alloc(40);
  const version = dice.roll(40) === 0 ? 5 : 6;
  ip.writeUInt32BE(((version << 28) | dice.roll(1 << 28)) >>> 0, 0);
  ip.writeUInt16BE(udp.length, 4);
  // Fragment, hop-by-hop, routing, destination options and TCP headers beside UDP's.
  ip.set([dice.roll(25) === 0 ? dice.pick([44, 0, 43, 60, 6]) : 17, dice.pick([64, 64, 64, 255, 2, 1, 0])], 6);
  ip.set([...flow.remoteIp, ...flow.localIp], 8);
  if (dice.roll(40) === 0) ip[23] = ip[23]! ^ 1;
  if (dice.roll(25) === 0) ip.writeUInt16BE((udp.length + dice.pick([1, 65_535, 8, 65_500])) & 65_535, 4);
  return Buffer.concat([ip, udp]);
}

/** The kernel's test run takes none that is shorter than the IP header its type promises. */
const shortest = { 2048: 34, 34525: 54, 2054: 15 } as const;

export function frameOf(dice: Dice, flow: FrameFlow): Buffer {
  const { family } = flow.arrival.local;
  const ethernet = Buffer.alloc(14);
  const usual = family === 4 ? 0x0800 : 0x86dd;
  const other = dice.roll(40) === 0 ? dice.pick([0x0806, 0x86dd, 0x0800] as const) : usual;
  if (dice.roll(40) === 0) ethernet[5] = 2;
  const frame = Buffer.concat([ethernet, family === 4 ? packet4(dice, flow) : packet6(dice, flow)]);
  const type = frame.length < shortest[other] ? usual : other;
  frame.writeUInt16BE(type, 12);
  // What is short is padded on the wire, and what is cut off ends anywhere.
  if (dice.roll(25) === 0) return Buffer.concat([frame, Buffer.alloc(dice.pick([1, 4, 18]))]);
  return dice.roll(15) === 0 ? frame.subarray(0, shortest[type] + dice.roll(frame.length - shortest[type] + 1)) : frame;
}

/** From 10.0.0.2:2 to 10.0.0.1:1, with no checksum of UDP. */
export function bareFrame(payload: number): Buffer {
  const frame = Buffer.alloc(42 + payload);
  frame.set([8, 0, 0x45, 0], 12);
  frame.writeUInt16BE(28 + payload, 16);
  frame.set([64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1], 22);
  frame.writeUInt16BE(0xffff ^ sum(frame.subarray(14, 34)), 24);
  frame.set([0, 2, 0, 1], 34);
  frame.writeUInt16BE(8 + payload, 38);
  return frame;
}
