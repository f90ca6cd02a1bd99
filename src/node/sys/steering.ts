/**
 * Two sockets at one address and port, each with a queue of its own in the kernel: requests come to the one, everything
 * else to the other. A classic BPF program of four instructions looks at the first byte of each datagram, as RFC 7983 §7
 * does: a STUN message begins with a byte below 64.
 */
import type { Address } from "../../core/base/address.ts";
import {
  BPF_JGE_K,
  BPF_LD_B_ABS,
  BPF_RET_K,
  SK_MEMINFO,
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

/** Code, how far to jump when it is so, and when it is not, and the operand. What is returned is a socket of the group. */
const program = [
  [BPF_LD_B_ABS, 0, 0, 0],
  [BPF_JGE_K, 0, 1, 0x40],
  [BPF_RET_K, 0, 0, 0],
  [BPF_RET_K, 0, 0, 1],
] as const;

/**
 * Opens a second socket beside `socket`, which is bound to `address` and gets no STUN message from now on. The first one
 * was bound without sharing its port, so the port was nobody's; and another one that tries the same is refused. Throws
 * `SystemError`, and then everything comes to `socket`.
 */
export function openRequestSocket(socket: number, address: Readonly<Address>): number {
  setOption(socket, SOL_SOCKET, SO_REUSEPORT, 1);
  const requests = openUdpSocket(address, true);
  try {
    attach(requests);
    return requests;
  } catch (error) {
    closeDescriptor(requests);
    throw error;
  }
}

function attach(socket: number): void {
  const codeAt = SOCK_FPROG.size;
  const memory = new NativeMemory("steering program", codeAt + program.length * SOCK_FILTER.size);
  memory.u16[SOCK_FPROG.length >> 1] = program.length;
  memory.putPointer(SOCK_FPROG.filter, memory.address + codeAt);
  for (const [i, [code, whenTrue, whenFalse, operand]] of program.entries()) {
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
