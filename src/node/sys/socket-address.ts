/** Socket addresses in native memory, read and written without anything made for one. */
import { networkInterfaces } from "node:os";
import { type Address, formatIp } from "../../core/base/address.ts";
import { AF_INET, AF_INET6, SOCKADDR_IN, SOCKADDR_IN6 } from "./layout.ts";
import type { NativeMemory } from "./native-memory.ts";

/** Room for either family, and a multiple of eight. */
export const SOCKET_ADDRESS_ROOM = 32;

/** Places in 32-bit words; family and port share the first. */
const ipv4At = SOCKADDR_IN.address >> 2;
const flowAt = SOCKADDR_IN6.flow >> 2;
const ipv6At = SOCKADDR_IN6.address >> 2;
const scopeAt = SOCKADDR_IN6.scope >> 2;
const portShift = 8 * SOCKADDR_IN.port;

function swap16(x: number): number {
  return ((x & 0xff) << 8) | (x >>> 8);
}

function swap32(x: number): number {
  return (x >>> 24) | ((x >>> 8) & 0xff00) | ((x << 8) & 0xff0000) | (x << 24);
}

/** Writes `address` at byte `at`, a multiple of four; returns its length. */
export function writeSocketAddress({ u32 }: NativeMemory, at: number, address: Readonly<Address>): number {
  const word = at >> 2;
  const port = swap16(address.port) << portShift;
  if (address.family === 4) {
    u32[word] = port | AF_INET;
    u32[word + ipv4At] = swap32(address.w3);
    return SOCKADDR_IN.size;
  }
  u32[word] = port | AF_INET6;
  u32[word + flowAt] = 0;
  u32[word + ipv6At] = swap32(address.w0);
  u32[word + ipv6At + 1] = swap32(address.w1);
  u32[word + ipv6At + 2] = swap32(address.w2);
  u32[word + ipv6At + 3] = swap32(address.w3);
  u32[word + scopeAt] = isLinkLocal(address.w0) ? scopeOf(address.text) : 0;
  return SOCKADDR_IN6.size;
}

/** Reads what stands at byte `at`, a multiple of four, into `out`. */
export function readSocketAddress({ u32 }: NativeMemory, at: number, out: Address): void {
  const word = at >> 2;
  const first = u32[word] as number;
  out.port = swap16(first >>> portShift);
  out.text = "";
  if ((first & 0xffff) === AF_INET) {
    out.family = 4;
    out.w0 = 0;
    out.w1 = 0;
    out.w2 = 0;
    out.w3 = swap32(u32[word + ipv4At] as number);
    return;
  }
  out.family = 6;
  out.w0 = swap32(u32[word + ipv6At] as number);
  out.w1 = swap32(u32[word + ipv6At + 1] as number);
  out.w2 = swap32(u32[word + ipv6At + 2] as number);
  out.w3 = swap32(u32[word + ipv6At + 3] as number);
  const scope = u32[word + scopeAt] as number;
  if (scope !== 0 && isLinkLocal(out.w0)) out.text = zoned(out, scope);
}

/** fe80::/10: the same address exists on every link. */
function isLinkLocal(w0: number): boolean {
  return w0 >>> 22 === 0x3fa;
}

/** Interfaces by number, as they were when one was last missed. */
let names = new Map<number, string>();

function readNames(): void {
  names = new Map();
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { family, scopeid } of addresses ?? []) {
      if (family === "IPv6" && scopeid !== undefined && scopeid !== 0) names.set(scopeid, name);
    }
  }
}

/** The number of the interface that the text's zone names, by number or by name; 0 when there is none. */
function scopeOf(text: string): number {
  const zone = text.slice(text.indexOf("%") + 1);
  if (zone === text) return 0;
  if (/^\d+$/.test(zone)) return Number(zone);
  const find = (): number => [...names].find(([, name]) => name === zone)?.[0] ?? 0;
  if (find() === 0) readNames();
  return find();
}

function zoned(address: Address, scope: number): string {
  if (!names.has(scope)) readNames();
  return `${formatIp(address)}%${names.get(scope) ?? scope}`;
}
