/**
 * A child of the datapaths' tests: a cable between two network namespaces, given by processes that stand in them, with an
 * interface `r` in the one and `f` in the other. What goes from `f` to `r` is sent twice, overtaken, broken, cut off or padded
 * now and then: which packets are, and how, depends on what is in them alone, so it is the same ones whenever they are sent.
 * Spared is what sets allocations up, and what ends in zeroes. With the first line of standard input it begins, and to every
 * line it says what it did until then.
 *
 *   fuzzed-link.ts PID PID
 */
import { closeSync, openSync, read, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { foreign } from "../../../src/node/sys/foreign.ts";
import { enterNetwork } from "./ebpf/over-links.ts";

const TUNSETIFF = 0x4004_54ca;
/** Frames as they are, without anything in front. */
const IFF_TAP_NO_PI = 0x1002;

const KINDS = ["twice", "overtaken", "broken", "cut", "padded"] as const;
type Kind = (typeof KINDS)[number];

export type Fuzzed = Record<Kind, number>;

/** Of a hundred packets, so many of each kind. */
const each = 4;

/** STUN's types of Allocate, Refresh, CreatePermission and ChannelBind. */
const setsUp: ReadonlySet<number> = new Set([0x0003, 0x0004, 0x0008, 0x0009]);

const [ETHERNET, IPV4, IPV6, FRAGMENT, UDP] = [14, 20, 40, 8, 8];
const [etherIpv4, etherIpv6, protocolUdp, protocolFragment] = [0x0800, 0x86dd, 17, 44];

/** Where what the sender wrote begins, behind what differs from run to run; undefined: nothing that is to be touched. */
function contentAt(frame: Buffer): number | undefined {
  const type = frame.readUInt16BE(12);
  if (type === etherIpv4 && frame[ETHERNET + 9] === protocolUdp) {
    const isFirst = (frame.readUInt16BE(ETHERNET + 6) & 0x1fff) === 0;
    return isFirst ? headOf(frame, ETHERNET + IPV4) : ETHERNET + IPV4;
  }
  if (type !== etherIpv6) return undefined;
  const next = frame[ETHERNET + 6];
  if (next === protocolUdp) return headOf(frame, ETHERNET + IPV6);
  if (next !== protocolFragment) return undefined;
  const behind = ETHERNET + IPV6 + FRAGMENT;
  return frame.readUInt16BE(behind - 6) >> 3 === 0 ? headOf(frame, behind) : behind;
}

function headOf(frame: Buffer, udp: number): number | undefined {
  const at = udp + UDP;
  const isSpared = frame.length >= at + 2 && setsUp.has(frame.readUInt16BE(at));
  const ends = frame.length >= at + 20 && frame.subarray(-11).every((byte) => byte === 0);
  return isSpared || ends ? undefined : at;
}

/** FNV-1a, and then MurmurHash3's last step, so that every bit depends on all. */
function hash(bytes: Uint8Array): number {
  let state = 0x811c9dc5;
  for (const byte of bytes) state = Math.imul(state ^ byte, 0x01000193);
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

const none = Buffer.alloc(2);

/** None of them makes a usual hop limit one of those that are treated apart. */
const masks = [0x01, 0x10, 0x80, 0xff];

function broken(frame: Buffer, seed: number): Buffer {
  const copy = Buffer.from(frame);
  // As often in the headers as in all of it.
  const at = (seed >>> 2) % (seed & 0x8000_0000 ? frame.length : Math.min(62, frame.length));
  copy[at] = copy[at]! ^ masks[seed & 3]!;
  // A checksum that becomes zero would be none.
  const checksum = ETHERNET + IPV4 + 6;
  const hasNone = copy.readUInt16BE(12) === etherIpv4 && copy.subarray(checksum, checksum + 2).equals(none);
  return hasNone ? frame : copy;
}

class Fuzz {
  readonly done: Fuzzed = { twice: 0, overtaken: 0, broken: 0, cut: 0, padded: 0 };
  #held: Buffer | undefined;

  /** What comes out in the place of a frame. */
  apply(frame: Buffer): readonly Buffer[] {
    const held = this.#held === undefined ? [] : [this.#held];
    this.#held = undefined;
    const at = contentAt(frame);
    if (at === undefined) return [frame, ...held];
    const seed = hash(frame.subarray(at));
    const kind = KINDS[Math.floor((seed % 100) / each)];
    if (kind === undefined) return [frame, ...held];
    this.done[kind]++;
    if (kind === "overtaken") this.#held = frame;
    return [...this.#changed(kind, frame, Math.floor(seed / 100)), ...held];
  }

  #changed(kind: Kind, frame: Buffer, seed: number): readonly Buffer[] {
    switch (kind) {
      case "twice":
        return [frame, frame];
      case "overtaken":
        return [];
      case "broken":
        return [broken(frame, Math.imul(seed, 0x9e3779b1) >>> 0)];
      case "cut":
        return [frame.subarray(0, ETHERNET + IPV4 + (seed % (frame.length - ETHERNET - IPV4)))];
      case "padded":
        return [Buffer.concat([frame, Buffer.alloc(1 + (seed % 18), 0xaa)])];
    }
  }
}

/** About what was broken. It would fail whatever its sender sends next, which is something else every time. */
function isIcmpError(frame: Buffer): boolean {
  const type = frame.readUInt16BE(12);
  if (type === etherIpv4) return frame[ETHERNET + 9] === 1;
  return type === etherIpv6 && frame[ETHERNET + 6] === 58 && frame[ETHERNET + IPV6]! < 128;
}

function openTap(pid: string, name: string): number {
  const network = openSync(`/proc/${pid}/ns/net`, "r");
  enterNetwork(network);
  closeSync(network);
  const functions = foreign();
  if (functions instanceof Error) throw functions;
  const ioctl = functions.load(null).func("ioctl", "int", ["int", "uint64_t", "uintptr_t"]);
  const request = Buffer.alloc(40);
  request.write(name, "latin1");
  request.writeUInt16LE(IFF_TAP_NO_PI, 16);
  const tap = openSync("/dev/net/tun", "r+");
  if (ioctl(tap, TUNSETIFF, functions.address(request)) < 0) throw new Error(`TUNSETIFF: ${functions.errno()}`);
  return tap;
}

function carry(from: number, to: number, change: (frame: Buffer) => readonly Buffer[]): void {
  const room = Buffer.alloc(2_048);
  read(from, room, (error, length) => {
    if (error !== null) throw error;
    for (const frame of change(room.subarray(0, length))) writeSync(to, frame);
    carry(from, to, change);
  });
}

if (import.meta.main) {
  const [near, far] = process.argv.slice(2) as [string, string];
  const [r, f] = [openTap(near, "r"), openTap(far, "f")];
  let fuzz: Fuzz | undefined;
  process.stdout.write("ready\n");
  for await (const _ of createInterface({ input: process.stdin })) {
    if (fuzz === undefined) {
      const begun = new Fuzz();
      carry(r, f, (frame) => (isIcmpError(frame) ? [] : [frame]));
      carry(f, r, (frame) => begun.apply(frame));
      fuzz = begun;
    }
    process.stdout.write(`${JSON.stringify(fuzz.done)}\n`);
  }
  process.exit(0);
}
