/**
 * Sockets that share one address and port, each with a queue of its own in the kernel: two for each shard. Requests come
 * to the one, everything else to the other. A classic BPF program looks at each datagram: at its first byte, as RFC 7983
 * §7 does, for a STUN message begins with a byte below 64; and where there are several shards at the address and port it
 * comes from, so that all that one client sends by one socket comes to one shard.
 */
import type { Address } from "../../core/base/address.ts";
import {
  BPF_ADD_K,
  BPF_ADD_X,
  BPF_JEQ_K,
  BPF_JGE_K,
  BPF_LD_B_ABS,
  BPF_LD_B_IND,
  BPF_LD_H_IND,
  BPF_LD_MEM,
  BPF_LD_W_ABS,
  BPF_LDX_MEM,
  BPF_LDX_MSH,
  BPF_LSH_K,
  BPF_MOD_K,
  BPF_MUL_K,
  BPF_RET_A,
  BPF_RSH_K,
  BPF_ST,
  BPF_TAX,
  BPF_TXA,
  BPF_XOR_X,
  IP6HDR,
  IPHDR,
  IPPROTO_UDP,
  SK_MEMINFO,
  SKF_NET_OFF,
  SO_ATTACH_REUSEPORT_CBPF,
  SO_MEMINFO,
  SO_REUSEPORT,
  SOCK_FILTER,
  SOCK_FPROG,
  SOL_SOCKET,
} from "./layout.ts";
import { libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { orThrow } from "./system-error.ts";
import { closeDescriptor, openUdpSocket, setOption } from "./udp-socket.ts";

/** Code, the operand, and of jumps how far when it is so, and when it is not. */
type Instruction = readonly [code: number, operand: number, whenTrue?: number, whenFalse?: number];

/** One shard's part of a listener. */
export interface SteeredPair {
  readonly media: number;
  readonly requests: number;
}

/** 2^32 by the golden ratio: what differs little before is far apart in the upper bits after it. */
const spread: Instruction = [BPF_MUL_K, 0x9e3779b1];

/** Of all bits of the accumulator, those that depend on most. */
const upperHalf: Instruction = [BPF_RSH_K, 16];

/** Extension headers of IPv6 that are looked behind: more have not been seen in front of UDP. */
const extensionsAtMost = 3;

const [payload6, next6] = [SKF_NET_OFF + IP6HDR.size, SKF_NET_OFF + IP6HDR.next];

/** X grows by the extension header that it points at, and A is the type of what is behind it. */
const overExtension: readonly Instruction[] = [
  [BPF_LD_B_IND, payload6],
  [BPF_ST, 0],
  // RFC 8200 §4.2, §4.5: how many times eight bytes are behind the first eight; a fragment header has zero there.
  [BPF_LD_B_IND, payload6 + 1],
  [BPF_ADD_K, 1],
  [BPF_LSH_K, 3],
  [BPF_ADD_X, 0],
  [BPF_TAX, 0],
  [BPF_LD_MEM, 0],
];

/** A is the port it comes from; where there are more extension headers, it is the type of one. At first X is 0. */
const port6: readonly Instruction[] = [
  [BPF_LD_B_ABS, next6],
  ...Array.from({ length: extensionsAtMost }, (_, i): Instruction[] => [
    [BPF_JEQ_K, IPPROTO_UDP, (extensionsAtMost - i) * (1 + overExtension.length), 0],
    ...overExtension,
  ]).flat(),
  [BPF_JEQ_K, IPPROTO_UDP, 0, 1],
  [BPF_LD_H_IND, payload6],
];

/** X is the number of the source, in all its bits. */
const sourceOf: Readonly<Record<4 | 6, readonly Instruction[]>> = {
  4: [
    // The port is behind the options.
    [BPF_LDX_MSH, SKF_NET_OFF],
    [BPF_LD_H_IND, SKF_NET_OFF],
    [BPF_TAX, 0],
    [BPF_LD_W_ABS, SKF_NET_OFF + IPHDR.source],
    [BPF_XOR_X, 0],
    [BPF_TAX, 0],
  ],
  6: [
    ...port6,
    [BPF_ST, 0],
    [BPF_LD_W_ABS, SKF_NET_OFF + IP6HDR.source],
    ...[4, 8, 12].flatMap((at): Instruction[] => [
      spread,
      [BPF_TAX, 0],
      [BPF_LD_W_ABS, SKF_NET_OFF + IP6HDR.source + at],
      [BPF_XOR_X, 0],
    ]),
    [BPF_LDX_MEM, 0],
    [BPF_XOR_X, 0],
    [BPF_TAX, 0],
  ],
};

/** Returns which socket of the group: twice the shard's number, and one more for requests. */
function program(family: 4 | 6, shards: number): Instruction[] {
  const shard: Instruction[] = [
    ...sourceOf[family],
    [BPF_TXA, 0],
    spread,
    upperHalf,
    [BPF_MOD_K, shards],
    [BPF_LSH_K, 1],
    [BPF_TAX, 0],
  ];
  return [
    // At first X is 0.
    ...(shards === 1 ? [] : shard),
    [BPF_LD_B_ABS, 0],
    [BPF_JGE_K, 0x40, 0, 2],
    [BPF_TXA, 0],
    [BPF_RET_A, 0],
    [BPF_TXA, 0],
    [BPF_ADD_K, 1],
    [BPF_RET_A, 0],
  ];
}

/**
 * Opens more sockets beside `socket`, which is bound to `address`: a pair for each shard, of which it is the first one's for
 * media. It was bound without sharing its port, so the port was nobody's; and another one that tries the same is
 * refused. Throws `SystemError`, and then everything comes to `socket`.
 */
export function openBeside(socket: number, address: Readonly<Address>, shards: number = 1): SteeredPair[] {
  setOption(socket, SOL_SOCKET, SO_REUSEPORT, 1);
  const opened: number[] = [];
  const open = (): number => {
    const one = openUdpSocket(address, true);
    opened.push(one);
    return one;
  };
  try {
    // In the order in which the program counts them.
    const pairs = Array.from({ length: shards }, (_, i) => ({ media: i === 0 ? socket : open(), requests: open() }));
    attach(socket, program(address.family, shards));
    return pairs;
  } catch (error) {
    for (const one of opened) closeDescriptor(one);
    throw error;
  }
}

function attach(socket: number, instructions: readonly Instruction[]): void {
  const codeAt = SOCK_FPROG.size;
  const memory = new NativeMemory("steering program", codeAt + instructions.length * SOCK_FILTER.size);
  memory.u16[SOCK_FPROG.length >> 1] = instructions.length;
  memory.putPointer(SOCK_FPROG.filter, memory.address + codeAt);
  for (const [i, [code, operand, whenTrue = 0, whenFalse = 0]] of instructions.entries()) {
    const at = codeAt + i * SOCK_FILTER.size;
    memory.u16[(at + SOCK_FILTER.code) >> 1] = code;
    memory.bytes[at + SOCK_FILTER.whenTrue] = whenTrue;
    memory.bytes[at + SOCK_FILTER.whenFalse] = whenFalse;
    memory.u32[(at + SOCK_FILTER.operand) >> 2] = operand;
  }
  const attached = libc().setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, memory.address, SOCK_FPROG.size);
  // The kernel has a copy.
  memory.release();
  orThrow("setsockopt", attached);
}

/** Tells of the queue in which datagrams wait for a socket. */
export class QueueGauge {
  readonly #memory: NativeMemory = new NativeMemory("socket memory", SK_MEMINFO.size + 4);

  /** How full it is, from 0 to 1. */
  fillOf(socket: number): number {
    if (!this.#read(socket)) return 0;
    const { u32 } = this.#memory;
    const used = u32[SK_MEMINFO.received >> 2] as number;
    const room = u32[SK_MEMINFO.room >> 2] as number;
    return Math.min(1, used / Math.max(1, room));
  }

  /** Datagrams that came and were not let in: no room, or a wrong checksum. Modulo 2^32. */
  dropsOf(socket: number): number {
    return this.#read(socket) ? (this.#memory.u32[SK_MEMINFO.drops >> 2] as number) : 0;
  }

  #read(socket: number): boolean {
    const { address, u32 } = this.#memory;
    u32[SK_MEMINFO.size >> 2] = SK_MEMINFO.size;
    return libc().getsockopt(socket, SOL_SOCKET, SO_MEMINFO, address, address + SK_MEMINFO.size) === 0;
  }

  release(): void {
    this.#memory.release();
  }
}
