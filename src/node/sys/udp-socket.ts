/** UDP sockets as descriptors: opened, bound, sized and closed. */
import type { Address } from "../../core/base/address.ts";
import { blankAddress } from "../../core/base/address.ts";
import {
  AF_INET,
  AF_INET6,
  IP_MTU_DISCOVER,
  IP_PMTUDISC_DO,
  IP_PMTUDISC_OMIT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  SO_RCVBUF,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  UDP_GRO,
} from "./layout.ts";
import { libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { noteClosing, noteOpened } from "./open-descriptors.ts";
import { readSocketAddress, SOCKET_ADDRESS_ROOM, writeSocketAddress } from "./socket-address.ts";
import { orThrow } from "./system-error.ts";

/** Of one call at a time: an address, and behind it an option's value or a length. */
let scratch: NativeMemory | undefined;
const valueAt = SOCKET_ADDRESS_ROOM;

function arguments_(): NativeMemory {
  scratch ??= new NativeMemory("socket arguments", SOCKET_ADDRESS_ROOM + 4);
  return scratch;
}

/**
 * A socket that never blocks, bound to exactly this address; an IPv6 one takes no IPv4. `shared`: with others that are
 * willing to. Throws `SystemError`.
 */
export function openUdpSocket(address: Readonly<Address>, shared = false): number {
  const family = address.family === 4 ? AF_INET : AF_INET6;
  const socket = noteOpened(orThrow("socket", libc().socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
  try {
    if (family === AF_INET6) setOption(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (shared) setOption(socket, SOL_SOCKET, SO_REUSEPORT, 1);
    const memory = arguments_();
    orThrow("bind", libc().bind(socket, memory.address, writeSocketAddress(memory, 0, address)));
    return socket;
  } catch (error) {
    closeDescriptor(socket);
    throw error;
  }
}

/** The address and port that a socket is bound to. Throws `SystemError`. */
export function localAddress(socket: number): Address {
  const memory = arguments_();
  memory.u32[valueAt >> 2] = SOCKET_ADDRESS_ROOM;
  orThrow("getsockname", libc().getsockname(socket, memory.address, memory.address + valueAt));
  const address = blankAddress();
  readSocketAddress(memory, 0, address);
  return address;
}

/** The kernel gives up to net.core.rmem_max. */
export function setReceiveBuffer(socket: number, bytes: number): void {
  setOption(socket, SOL_SOCKET, SO_RCVBUF, bytes);
}

/**
 * Whether what leaves from now on by an IPv4 socket may be cut up on its way. Where it may not, what is longer than the
 * way is refused with EMSGSIZE.
 */
export function setFragmentation(socket: number, isAllowed: boolean): void {
  // Not IP_PMTUDISC_DONT, with which the kernel keeps to itself that a datagram was too long for some router.
  setOption(socket, IPPROTO_IP, IP_MTU_DISCOVER, isAllowed ? IP_PMTUDISC_OMIT : IP_PMTUDISC_DO);
}

/**
 * From now on the kernel hands over as one what came in a row from one sender, with one length, and tells that length. It
 * cannot be taken back: what waits in the queue would come without it. Throws `SystemError`.
 */
export function mergeReceived(socket: number): void {
  setOption(socket, IPPROTO_UDP, UDP_GRO, 1);
}

/** Throws `SystemError`. */
export function isReceivedMerged(socket: number): boolean {
  return option(socket, IPPROTO_UDP, UDP_GRO) !== 0;
}

export function closeDescriptor(descriptor: number): void {
  noteClosing(descriptor);
  libc().close(descriptor);
}

/** An option's value. Throws `SystemError`. */
export function option(socket: number, level: number, name: number): number {
  const memory = arguments_();
  memory.u32[0] = 4;
  orThrow("getsockopt", libc().getsockopt(socket, level, name, memory.address + valueAt, memory.address));
  return memory.u32[valueAt >> 2] as number;
}

/** Throws `SystemError`. */
export function setOption(socket: number, level: number, name: number, value: number): void {
  const memory = arguments_();
  memory.u32[valueAt >> 2] = value;
  orThrow("setsockopt", libc().setsockopt(socket, level, name, memory.address + valueAt, 4));
}
